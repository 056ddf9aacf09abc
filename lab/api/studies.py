"""`lab.tune` and `lab.claim`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lab.api import html
from lab.api.session import reading, training
from lab.api.settings import Override, refuses_other_keywords, texts
from lab.errors import BadInput, LabError

if TYPE_CHECKING:
    import optuna
    from pandas import DataFrame

    from lab.api.training_run import TrainingRun
    from lab.study.judgement import Judgement
    from lab.study.study import Study


@dataclass(frozen=True, repr=False)
class TunedStudy:
    """A study after `lab.tune`; what Optuna has a word for is called by it.

    Args:
        tuned: the study as `lab.study` has it.
    """

    tuned: Study

    @property
    def name(self) -> str:
        """The study's name: `lab.compare(name)` compares its trials."""
        return self.tuned.plan.name

    @property
    def study(self) -> optuna.Study:
        """Optuna's study, for its own plots and importances. Its values of several seeds are their statistic."""
        return self.tuned.record.optuna

    @property
    def best_params(self) -> dict[str, Any]:
        """The settings of the best trial, by dotted key of the recipe: overrides for `lab.run`.

        Raises:
            LabError: no trial is complete, or there are several metrics: `.study.best_trials` has the best trade-offs.
        """
        return dict(self._best().settings)

    @property
    def best_value(self) -> float:
        """The metric of the best trial, the statistic over its seeds; raises what `best_params` does."""
        return float(self._best().values[0])

    @property
    def best_run(self) -> TrainingRun:
        """The first run of the best trial; raises what `best_params` does."""
        from lab.api.records import load

        return load(next(iter(self._best().results.values())).run_id, uri=self.tuned.uri)

    def apply(self, trial: int | None = None) -> str:
        """The best trial as the text of a recipe, as `lab tune apply` prints it.

        Args:
            trial: Optuna's number of another one.

        Raises:
            LabError: there is no such trial, or none is complete.
        """
        from lab.study.report import apply

        with reading():
            return apply.recipe(self.tuned.record, trial)

    def to_frame(self) -> DataFrame:
        """The table of the study with full precision: settings, seeds, metrics and intervals, the best trial first."""
        import io

        import pandas as pd

        from lab.study.report.render import as_csv
        from lab.study.report.table import table

        return pd.read_csv(io.StringIO(as_csv(table(self.tuned.record))))

    def _best(self) -> Any:
        from lab.study.report.summary import best

        record = self.tuned.record
        if len(record.metrics) > 1:
            metrics = ", ".join(record.metrics)
            raise BadInput(f"study {self.name} has several metrics ({metrics}); .study.best_trials are its trade-offs")
        found = best(record.modes[0], record.trials)
        if found is None:
            raise LabError(f"study {self.name} has no complete trial")
        return found

    def __repr__(self) -> str:
        count = sum(trial.state == "complete" for trial in self.tuned.trials)
        return f"TunedStudy({self.name!r}, {count} of {len(self.tuned.trials)} trials complete)"

    def _repr_html_(self) -> str:
        from lab.study.report import render
        from lab.study.report.table import table

        lines = table(self.tuned.record)
        titles, rows = render.cells(lines)
        return html.page(self.name, html.table(rows, titles), html.note(render.caption(lines)))


@refuses_other_keywords
def tune(
    study: str | Path,
    *overrides: Override,
    name: str | None = None,
    workers: int | None = None,
    storage: str | None = None,
    launcher: Literal["local", "ray"] = "local",
    uri: str | None = None,
) -> TunedStudy:
    """Train the trials of a study that are not finished yet, as `lab tune` does.

    With a study in `rates.yaml` that tries three learning rates:

    >>> tune("rates.yaml").best_params
    {'model.lr': 0.01}

    Args:
        study: a YAML file, or the name of an installed study.
        overrides: keys that win over the study's file: texts `trials=80`, or mappings such as `{"trials": 80}`.
        name: the study's; by default the file's.
        workers: trainings at a time; by default one for each core.
        storage: a database for several machines, such as postgresql://user@host/studies; a file here by default.
        launcher: worker processes on this machine, or tasks of a Ray cluster.
        uri: the tracking server or database; MLFLOW_TRACKING_URI or sqlite:///mlflow.db by default.

    Raises:
        LabError: the study cannot be used, or all its trials failed.
        KeyboardInterrupt: the user interrupted; the same call continues.
    """
    from lab.registry import find_recipe
    from lab.study.plan import schema

    with reading():
        planned_file = schema.load_study(find_recipe(str(study), "study"), texts(overrides))
    with training():
        from lab.study.plan.plan import make_plan
        from lab.study.study import tune as work_off
        from lab.study.work.storage import open_storage

        if storage is not None:  # before the plan: an address may be wrong
            open_storage(storage, "", "")
        plan = make_plan(planned_file, name, uri=uri)
        found = work_off(plan, workers=workers, address=storage, launcher=launcher, uri=uri)
        if failure := found.failure:
            raise LabError(failure)
    return TunedStudy(found)


@dataclass(frozen=True, repr=False)
class JudgedClaim:
    """A claim with its verdict and the evidence.

    Args:
        judgement: as `lab.study` has it; `judgement.evidence` has the scores of both sides by seed.
    """

    judgement: Judgement

    @property
    def claim(self) -> str:
        """The sentence."""
        return self.judgement.claim

    @property
    def verdict(self) -> Literal["upheld", "refuted", "undecided"]:
        """By the whole interval of the probability: above one half, below it, or neither."""
        return self.judgement.verdict

    @property
    def probability(self) -> float:
        """Of a run of the first side being better than one of the second."""
        return self.judgement.probability

    def to_frame(self) -> DataFrame:
        """A row for each side: `study`, `seeds`, `mean`, `iqm`, and `low` and `high`, its 95 % interval."""
        import pandas as pd

        rows = {
            side.name: {
                "study": side.study,
                "seeds": len(side.scores),
                "mean": side.mean,
                "iqm": side.iqm,
                "low": side.interval.low if side.interval else None,
                "high": side.interval.high if side.interval else None,
            }
            for side in self.judgement.evidence
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def __repr__(self) -> str:
        return f"JudgedClaim({self.verdict}: {self.claim!r}, probability {self.probability:.2f})"

    def _repr_html_(self) -> str:
        from lab.stages import number

        rows = [
            [side.name, str(len(side.scores)), number(side.mean), number(side.iqm), html.span(side.interval)]
            for side in self.judgement.evidence
        ]
        better, worse = (side.name for side in self.judgement.evidence)
        chance = f"probability that a run of {better} is better than one of {worse}: {self.probability:.2f}"
        note = html.note(f"{self.judgement.metric}; {chance} {html.span(self.judgement.interval)}")
        return html.page(
            f"{self.verdict}: {self.claim}", html.table(rows, ["", "seeds", "mean", "IQM", "95 % interval"]), note
        )


@refuses_other_keywords
def claim(file: str | Path, *, workers: int | None = None, uri: str | None = None) -> JudgedClaim:
    """Train the missing runs of a claim and judge it, as `lab claim` does.

    >>> claim("claim.yaml").verdict
    'upheld'

    Args:
        file: a YAML file, or the name of an installed claim.
        workers: trainings at a time; by default one for each core.
        uri: the tracking server or database; MLFLOW_TRACKING_URI or sqlite:///mlflow.db by default.

    Raises:
        LabError: the claim cannot be used, or a training failed.
        KeyboardInterrupt: the user interrupted; the same call continues.
    """
    from lab.registry import find_recipe
    from lab.study.claim import load_claim

    with reading():
        loaded = load_claim(find_recipe(str(file), "claim"))
    with training():
        from lab.study.judgement import judge

        return JudgedClaim(judge(loaded, workers, uri))
