"""Cross-validation of a recipe: a study in which each training validates on another fold of the data."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import BadInput
from lab.recipe import load
from lab.recipe.signature import parameters
from lab.study.report.summary import Result
from lab.study.seeds import finals, plan_of, train
from lab.study.study import Study
from lab.study.work.naming import FOLD, FOLDS


def cross_validate(
    recipe: Path,
    settings: Sequence[str],
    count: int,
    *,
    name: str | None = None,
    workers: int | None = None,
    uri: str | None = None,
) -> Study:
    """Trains a recipe once for each fold; the same call again resumes what was interrupted.

    Args:
        recipe: the file, or the name of a task.
        settings: overrides of it.
        count: number of folds.
        name: the study's; by default the recipe's name and a hash of what it says.
        workers: trainings at a time; by default one for each core.
        uri: the tracking server; the recipe's own by default.

    Raises:
        BadInput: the task's data has no folds.
        LabError: what `lab.study.study.tune` raises.
    """
    from lab.runner.assemble import assemble

    data = type(assemble(load(recipe, settings)).data)
    if not {"fold", "folds"} <= {parameter.name for parameter in parameters(data)}:
        raise BadInput(f"--folds: {data.__name__} has no parameters `folds` and `fold`; use --seeds to repeat a run")
    divided = [*settings, f"{FOLDS}={count}", f"{FOLD}=0"]
    made = plan_of(recipe, divided, None, uri, name, sampler="grid", space={FOLD: list(range(count))})
    return train(made, name, workers, uri)


def by_fold(study: Study) -> dict[int, Result]:
    """The finished trainings, by the fold that each validated on."""
    results = {trial.settings[FOLD]: result for trial in study.trials for result in trial.results.values()}
    return dict(sorted(results.items()))


def spread(results: Mapping[int, Result]) -> dict[str, dict[str, float | None]]:
    """Mean and standard deviation of every metric of the best checkpoint.

    There is no interval: trainings that share most of their images are not independent, and no unbiased estimate of
    the variance exists (Bengio and Grandvalet, JMLR 2004).
    """
    return {
        name: {"mean": statistics.fmean(values), "std": statistics.stdev(values) if len(values) > 1 else None}
        for name, values in finals(results)
    }
