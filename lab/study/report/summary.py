"""What the trials of a study say: each trial's seeds, values and standing, read back from Optuna's storage."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.trial import FixedTrial, TrialState

from lab.study.plan.space import Dimension, settings
from lab.study.work.ledger import REASON, counting

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


@dataclass(frozen=True)
class Result:
    """One finished training.

    Args:
        run_id: the MLflow run.
        metrics: its final metrics.
        seconds: wall time of training alone.
    """

    run_id: str
    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class TrialSummary:
    """One trial.

    Args:
        number: Optuna's.
        entry: its place in the plan.
        state: complete, pruned, failed, running or waiting.
        settings: the settings of the recipe it stands for; empty while it waits.
        values: one for each metric of the study, if it is complete.
        results: its finished trainings by seed.
        reason: why it failed.
    """

    number: int
    entry: int
    state: str
    settings: dict[str, Any]
    values: tuple[float, ...]
    results: dict[int, Result]
    reason: str


def summary(dimensions: tuple[Dimension, ...], study: optuna.Study) -> list[TrialSummary]:
    """The trials of a study in the order of its plan.

    Args:
        dimensions: what varies.
        study: Optuna's.
    """
    return [_trial(dimensions, trial) for trial in counting(study)]


def best(mode: str, trials: Sequence[TrialSummary]) -> TrialSummary | None:
    """The complete trial with the best first metric."""
    complete = [trial for trial in trials if trial.state == "complete"]
    sign = 1 if mode == "min" else -1
    return min(complete, key=lambda trial: sign * trial.values[0], default=None)


def seeds_of(attributes: Mapping[str, Any]) -> dict[int, Result]:
    """The finished trainings that a trial's attributes tell of, by seed."""
    found = {int(key.split()[1]): value for key, value in attributes.items() if key.startswith("seed ")}
    return {seed: Result(value["run"], value["metrics"], value["seconds"]) for seed, value in sorted(found.items())}


def statistic(name: str) -> Callable[[Sequence[float]], float]:
    """What makes one value of those of the seeds."""
    from lab import stats

    known: dict[str, Callable[[Sequence[float]], float]] = {
        "mean": statistics.fmean,
        "median": statistics.median,
        "iqm": lambda values: float(stats.iqm(list(values))),
    }
    return known[name]


def _trial(dimensions: tuple[Dimension, ...], trial: FrozenTrial) -> TrialSummary:
    parameters = trial.params or trial.system_attrs.get("fixed_params", {})
    try:
        chosen = settings(dimensions, FixedTrial(parameters)) if parameters else {}
    except ValueError:  # it died before Optuna was asked for all of them
        chosen = {}
    return TrialSummary(
        number=trial.number,
        entry=trial.user_attrs["entry"],
        state=STATES[trial.state],
        settings=chosen,
        values=tuple(trial.values or ()) if trial.state == TrialState.COMPLETE else (),
        results=seeds_of(trial.user_attrs),
        reason=trial.user_attrs.get(REASON, ""),
    )
