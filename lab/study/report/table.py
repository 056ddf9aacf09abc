"""The table of a study: each trial's metrics over its seeds, with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab import stats
from lab.stats import Interval
from lab.study.plan.space import identity
from lab.study.report.summary import TrialSummary, statistic
from lab.study.work.record import StudyRecord

ORDER = ("complete", "running", "pruned", "failed", "waiting")


@dataclass(frozen=True)
class Estimate:
    """The estimate of one final metric of a trial over its seeds.

    Args:
        seeds: its value for each seed that is finished.
        mean: over these seeds.
        interval: in which the mean lies with 95 % confidence, by the percentile bootstrap; None for a single seed.
        value: of the study's statistic, if that is not the mean.
        value_interval: the same for that.
    """

    seeds: Mapping[int, float]
    mean: float
    interval: Interval | None
    value: float | None = None
    value_interval: Interval | None = None

    @property
    def statistic_value(self) -> float:
        """The study's statistic."""
        return self.mean if self.value is None else self.value

    @property
    def statistic_interval(self) -> Interval | None:
        """The interval of the study's statistic."""
        return self.interval if self.value is None else self.value_interval


@dataclass(frozen=True)
class TableRow:
    """One line of the table.

    Args:
        trial: Optuna's number of the trial, as in MLflow's tag; lines that mean the same configuration share it.
        state: of the trial: complete, pruned, failed, running or waiting.
        parameter: the key that differs from the default, if the study changes one at a time.
        value: that key's value.
        settings: all that varies, by key.
        seeds: with which the trial is to be trained.
        metrics: the study's metrics and columns, of the seeds that are finished.
        published: the published value.
        front: whether no trial is better in all metrics, if there are several.
        reason: why it failed.
    """

    trial: int | None
    state: str
    parameter: str | None
    value: Any
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    metrics: Mapping[str, Estimate]
    published: float | None = None
    front: bool | None = None
    reason: str = ""

    @property
    def finished(self) -> int:
        """The number of finished seeds."""
        return max((len(metric.seeds) for metric in self.metrics.values()), default=0)


@dataclass(frozen=True)
class StudyTable:
    """The table of a study.

    Args:
        name: the study's.
        metrics: that are optimised.
        modes: `min` or `max` for each metric.
        statistic: that combines the values of the seeds.
        columns: further metrics.
        keys: settings that have a column, if lines are trials.
        lines: parameter by parameter if the study changes one at a time, else trials, the best first.
        one_at_a_time: which of the two it is.
        entries: how many trials there are to be.
    """

    name: str
    metrics: tuple[str, ...]
    modes: tuple[str, ...]
    statistic: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    lines: tuple[TableRow, ...]
    one_at_a_time: bool
    entries: int

    @property
    def published(self) -> bool:
        """Whether any row has a published value."""
        return any(line.published is not None for line in self.lines)


def table(record: StudyRecord) -> StudyTable:
    """The table of a study, finished or not."""
    if record.rows:
        keys: tuple[str, ...] = ()
        lines = _one_at_a_time(record)
    else:
        begun = [trial for trial in record.trials if trial.settings or trial.state != "waiting"]
        keys = varying(begun)
        lines = sorted(_trials(record, begun), key=_rank(record))
    return StudyTable(
        name=record.name,
        metrics=record.metrics,
        modes=record.modes,
        statistic=record.statistic,
        columns=tuple(column for column in record.columns if column not in record.metrics),
        keys=keys,
        lines=tuple(lines),
        one_at_a_time=bool(record.rows),
        entries=record.entries,
    )


def estimate(seeds: Mapping[int, float], name: str = "mean") -> Estimate:
    """The estimate of one metric.

    Args:
        seeds: its value for each seed; at least one.
        name: the study's statistic.
    """
    values = list(seeds.values())
    if not all(map(math.isfinite, values)):  # nothing can be said with confidence
        return Estimate(seeds, math.nan, None, None if name == "mean" else math.nan)
    mean = Estimate(seeds, float(stats.mean(values)), stats.interval(values, stats.mean))
    if name == "mean":
        return mean
    return Estimate(seeds, mean.mean, mean.interval, statistic(name)(values), stats.interval(values, _along(name)))


def _along(name: str) -> Callable[[stats.Array], Any]:
    """The statistic of an array's last axis."""
    import numpy as np

    return stats.iqm if name == "iqm" else lambda values: np.median(values, -1)


def _one_at_a_time(record: StudyRecord) -> list[TableRow]:
    """One line for each value of each key; where a value is given, the one in the same place of `published`."""
    trials = {trial.entry: trial for trial in record.trials}
    place: dict[str, int] = {}
    lines = []
    for row in record.rows:
        place[row.key] = place.get(row.key, -1) + 1
        given = record.published.get(row.key, ())
        published = given[place[row.key]] if place[row.key] < len(given) else None
        lines.append(_line(record, trials.get(row.entry), row.key, row.value, published))
    return lines


def _trials(record: StudyRecord, trials: Sequence[TrialSummary]) -> list[TableRow]:
    front = {trial.number for trial in record.optuna.best_trials} if len(record.metrics) > 1 else None
    return [_line(record, trial, front=None if front is None else trial.number in front) for trial in trials]


def _line(
    record: StudyRecord,
    trial: TrialSummary | None,
    parameter: str | None = None,
    value: Any = None,
    published: float | None = None,
    front: bool | None = None,
) -> TableRow:
    if trial is None:
        return TableRow(None, "waiting", parameter, value, {}, record.seeds, {}, published)
    by_metric: dict[str, dict[int, float]] = {name: {} for name in (*record.metrics, *record.columns)}
    for seed, result in trial.results.items():
        if seed in record.seeds:
            for name, values in by_metric.items():
                if name in result.metrics:
                    values[seed] = result.metrics[name]
    return TableRow(
        trial=trial.number,
        state=trial.state,
        parameter=parameter,
        value=value,
        settings=trial.settings,
        seeds=record.seeds,
        metrics={name: estimate(values, record.statistic) for name, values in by_metric.items() if values},
        published=published,
        front=front,
        reason=trial.reason,
    )


def varying(trials: Sequence[TrialSummary]) -> tuple[str, ...]:
    """The keys that differ between trials, in the order in which they first come."""
    keys = dict.fromkeys(key for trial in trials for key in trial.settings)
    chosen = {key: {identity({"": trial.settings.get(key, "no such key")}) for trial in trials} for key in keys}
    return tuple(key for key, values in chosen.items() if len(values) > 1)


def _rank(record: StudyRecord) -> Callable[[TableRow], tuple[bool, int, float, int]]:
    """The front first, then complete trials by the first metric, then the others."""
    sign = 1 if record.modes[0] == "min" else -1

    def rank(line: TableRow) -> tuple[bool, int, float, int]:
        found = line.metrics.get(record.metrics[0])
        value = math.inf if found is None else sign * found.statistic_value
        return not line.front, ORDER.index(line.state), math.inf if math.isnan(value) else value, line.trial or 0

    return rank
