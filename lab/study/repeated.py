"""One recipe trained several times, with different seeds or on different folds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.study.folds import by_fold, cross_validate, spread
from lab.study.report.summary import Result
from lab.study.seeds import not_finite, repeat, summarize
from lab.study.study import Study

NOTES = {
    "seed": "low, high: 95 % bootstrap interval of the interquartile mean",
    "fold": "std: standard deviation over folds, which share most of their data",
}


@dataclass(frozen=True)
class Repetition:
    """The trainings of one recipe.

    Args:
        study: the study they belong to.
        kind: what they differ in, `seed` or `fold`.
        results: the finished ones, by seed or fold.
        summary: statistics of every metric of the best checkpoint, such as `mean`.
    """

    study: Study
    kind: Literal["seed", "fold"]
    results: Mapping[int, Result]
    summary: Mapping[str, Mapping[str, float | None]]

    @property
    def state(self) -> str:
        """`complete`, or the state of the first trial that is not."""
        return next((trial.state for trial in self.study.trials if trial.state != "complete"), "complete")

    @property
    def rows(self) -> list[tuple[str, str, list[float | None]]]:
        """A table with a column for each metric: seed or fold, run and values; then each statistic by its name."""
        found: list[tuple[str, str, list[float | None]]] = [
            (str(key), result.run_id[:8], [result.metrics.get(metric) for metric in self.summary])
            for key, result in self.results.items()
        ]
        titles = next(iter(self.summary.values()), {})
        return found + [(title, "", [values[title] for values in self.summary.values()]) for title in titles]

    @property
    def note(self) -> str:
        """The note on the statistics: how they are computed."""
        return NOTES[self.kind]

    @property
    def warnings(self) -> list[str]:
        """A line for each value that does not count."""
        return list(not_finite(self.results, self.kind))

    @property
    def missing(self) -> str:
        """The trainings without a score, each with the reason; empty if all have one."""
        failed = [trial for trial in self.study.trials if trial.state != "complete"]
        if not failed:
            return ""
        plan = self.study.plan
        every = plan.seeds if self.kind == "seed" else range(len(self.study.trials))
        scores = {key: result.metrics.get(plan.metrics[0], math.nan) for key, result in self.results.items()}
        without = ", ".join(str(one) for one in every if not math.isfinite(scores.get(one, math.nan)))
        return f"not every {self.kind} has a score; missing: {without}; the first failed with: {failed[0].reason}"


def train_repeatedly(
    recipe: Path,
    settings: Sequence[str],
    *,
    seeds: int | None = None,
    folds: int | None = None,
    name: str | None = None,
    workers: int | None = None,
) -> Repetition:
    """Trains a recipe with several seeds or, if there are `folds`, on each of them; raises what `tune` raises."""
    if folds is not None:
        study = cross_validate(recipe, settings, folds, name=name, workers=workers)
        by = by_fold(study)
        return Repetition(study, "fold", by, spread(by))
    study = repeat(recipe, settings, seeds or 1, name=name, workers=workers)
    results = study.trials[0].results
    return Repetition(study, "seed", results, summarize(results))
