"""The metric by which runs are compared, and whether a larger or a smaller value of it is better."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.errors import BadInput, nearest
from lab.registry import find_task
from lab.runner.results import MODE, MONITOR, SCORE

if TYPE_CHECKING:
    from mlflow.entities import Run

    from lab.stats import Mode


SMALLER_IS_BETTER = re.compile(r"loss|(?<![a-z])(error|r?mse|mae|nll|perplexity)(?![a-z])")  # in a metric's name


def score_metric(runs: Sequence[Run], metric: str | None = None) -> str:
    """The metric that all runs record as their score, or `metric` if any of them has it.

    Where no run records one it is the first loss or error that all of them have, of the test if there is one.

    Raises:
        BadInput: they record different scores, or none; or no run has `metric`.
    """
    if metric is not None:
        known = {name for run in runs for name in run.data.metrics}
        if metric not in known:
            raise BadInput(f"no run has a metric {metric!r}{nearest(metric, known)}")
        return metric
    found = sorted({run.data.tags[SCORE] for run in runs if SCORE in run.data.tags})
    if not found:
        shared = common_metrics(runs)
        loss = next((name for name in shared if SMALLER_IS_BETTER.search(name.lower())), None)
        if loss is not None:
            return loss
        some = f": {', '.join(shared)}" if shared else "; they have no metric in common"
        raise BadInput(f"none of the runs records which metric is its score; name one with --metric{some}")
    if len(found) > 1:
        raise BadInput(f"the runs record different metrics as their score ({', '.join(found)}); name one with --metric")
    return found[0]


def common_metrics(runs: Sequence[Run]) -> list[str]:
    """The metrics that all runs have: of tests first, then of validation; none of single steps, time and hardware."""
    names = set.intersection(*(set(run.data.metrics) for run in runs)) if runs else set()
    named = [name for name in names if not name.startswith(("system/", "seconds/"))]
    own = [name for name in named if name not in ("epoch", "env_steps") and name.rpartition("_")[2] != "step"]
    return sorted(own, key=lambda name: (not name.startswith(("test", "best/")), not name.startswith("val"), name))


def score_mode(runs: Sequence[Run], metric: str, mode: Mode | None = None) -> Mode:
    """Whether a larger (`max`) or a smaller (`min`) value is better, as the runs recorded it for their score.

    Raises:
        BadInput: it is not recorded, or the runs contradict each other.
    """
    if mode is not None:
        return mode
    said = {(run.data.tags.get(MODE), run.data.tags.get("task", "")) if metric in _own(run) else None for run in runs}
    modes = {None if each is None else _recorded(*each) for each in said}
    if modes == {"max"}:
        return "max"
    if modes == {"min"}:
        return "min"
    if SMALLER_IS_BETTER.search(metric.lower()) and not any(SCORE in run.data.tags for run in runs):
        return "min"
    raise BadInput(f"no run records whether a larger or a smaller {metric} is better; give --mode max or --mode min")


def names(curve: str) -> list[str]:
    """The alternative metrics of a curve, separated by commas, which MLflow allows in no name."""
    return [name.strip() for name in curve.split(",")]


def curve_metrics(runs: Sequence[Run], curves: Sequence[str]) -> list[str]:
    """The metrics of the curves, after checking that the runs have them.

    Raises:
        BadInput: no run has a metric of one of the names, or a curve is named twice.
    """
    known = {name for run in runs for name in run.data.metrics}
    for name in (name for curve in curves for name in names(curve)):
        if name not in known:
            raise BadInput(f"--curve {name}: no run has such a metric{nearest(name, known)}")
    if len(set(curves)) < len(curves):
        raise BadInput(f"--curve {next(curve for curve in curves if curves.count(curve) > 1)} is given twice")
    return list(curves)


def validation_metric(runs: Sequence[Run], metric: str) -> str:
    """The metric to draw over time: `val/return` for `test/return`, if all runs have it, else the metric itself."""
    found = {_validation(run, metric) for run in runs}
    name = next(iter(found))
    return name if len(found) == 1 and all(name in run.data.metrics for run in runs) else metric


def _own(run: Run) -> set[str]:
    """The run's score, and what it was in validation."""
    score = run.data.tags.get(SCORE, "")
    return {score, _validation(run, score)} - {""}


def _validation(run: Run, metric: str) -> str:
    """The validation's counterpart of the run's score, as it recorded it; of another metric by its name."""
    if metric == run.data.tags.get(SCORE) and MONITOR in run.data.tags:
        return str(run.data.tags[MONITOR])
    return metric.replace("test", "val", 1)


def _recorded(mode: str | None, task: str) -> str | None:
    """The mode that a run recorded; for an older run that of its task, which is imported for it."""
    try:
        return mode or find_task(task).mode_of_score
    except BadInput:  # a task that was written out in its recipe, or that is not installed here
        return None
