"""Summaries of the trials of a study: settings, state, values and results by seed, read from Optuna's storage."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.trial import FixedTrial, TrialState

from lab.study.plan.space import Dimension, settings
from lab.study.work.trial_queue import REASON, current_trials

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
        settings: its settings of the recipe; empty while it waits.
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
    return [_trial(dimensions, trial) for trial in current_trials(study)]


def best(mode: str, trials: Sequence[TrialSummary]) -> TrialSummary | None:
    """The complete trial with the best first metric."""
    complete = [trial for trial in trials if trial.state == "complete" and math.isfinite(trial.values[0])]
    sign = 1 if mode == "min" else -1
    return min(complete, key=lambda trial: sign * trial.values[0], default=None)


def seeds_of(attributes: Mapping[str, Any]) -> dict[int, Result]:
    """The finished trainings in the attributes of a trial, by seed."""
    found = {int(key.split()[1]): value for key, value in attributes.items() if key.startswith("seed ")}
    return {seed: Result(value["run"], value["metrics"], value["seconds"]) for seed, value in sorted(found.items())}


def statistic(name: str) -> Callable[[Sequence[float]], float]:
    """The function that combines the values of the seeds."""
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
