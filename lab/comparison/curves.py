"""Learning curves of groups: the interquartile mean of a metric over seeds, by training step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lab import stats
from lab.comparison.metric import names
from lab.stats import Array, Band

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from lab.comparison.groups import Group

POINTS = 300  # of a curve, at most


@dataclass(frozen=True)
class Curve:
    """One metric of one group on one environment.

    Args:
        label: the group's.
        metric: the metric of the curve, as it was requested.
        environment: "" where there is none.
        steps: (points,), ascending.
        values: the interquartile mean over seeds at these steps (points,).
        band: its 95 % interval at each point; None for a single seed.
    """

    label: str
    metric: str
    environment: str
    steps: Array
    values: Array
    band: Band | None


def curves(groups: Sequence[Group], metric: str, server: MlflowClient) -> list[Curve]:
    """The curve of every group on every environment that has at least two steps in common to all seeds.

    A curve spans the steps that all of its seeds have reached. Seeds that were evaluated at different steps are
    interpolated linearly, at the steps of any of them.

    Args:
        groups: whose runs' histories are read, one request a run and name.
        metric: such as `val/return`; or several names of one thing, such as `loss/critic,loss/q`, of which each group
            is drawn by the first that it has.
        server: where the runs are.
    """
    found = []
    for group in groups:
        for environment, runs in group.runs.items():
            for name in names(metric):
                histories = [_history(run, name, server) for run in runs.values()]
                steps = common_steps([steps for steps, _ in histories])
                if len(steps) > 1:
                    values = np.array([np.interp(steps, *history) for history in histories])  # (seeds, points)
                    middle, band = stats.iqm(values.T), stats.curve_interval(values)
                    found.append(Curve(group.label, metric, environment, steps, middle, band))
                    break
    return found


def missing(groups: Sequence[Group], metrics: Sequence[str], found: Sequence[Curve]) -> list[str]:
    """A line for each group without a curve of one of these metrics."""
    there = {(curve.metric, curve.label) for curve in found}
    return [
        f"no curve of {group.label}: its runs have no two steps of {metric} in common"
        for metric in metrics
        for group in groups
        if (metric, group.label) not in there
    ]


def common_steps(runs: Sequence[Array]) -> Array:
    """The steps of all runs, as far as every run has values before and after; evenly spaced ones if they are many."""
    if any(not len(steps) for steps in runs):
        return np.empty(0)
    first, last = max(steps[0] for steps in runs), min(steps[-1] for steps in runs)
    every = np.unique(np.concatenate(runs))
    every = every[(every >= first) & (every <= last)]
    return every if len(every) <= POINTS else np.linspace(first, last, POINTS)


def _history(run: str, metric: str, server: MlflowClient) -> tuple[Array, Array]:
    """Steps, ascending, and values; of several values at one step, the last one logged."""
    entries = sorted(server.get_metric_history(run, metric), key=lambda entry: (entry.step, entry.timestamp))
    last = {entry.step: entry.value for entry in entries if math.isfinite(entry.value)}
    return np.array(list(last), float), np.array(list(last.values()), float)
