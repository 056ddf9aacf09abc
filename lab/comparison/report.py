"""The statistics of each group, and the probability that it is better than the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import stats

if TYPE_CHECKING:
    from lab.comparison.groups import Group
    from lab.stats import Improvement, Interval, Mode


@dataclass(frozen=True)
class ComparisonRow:
    """The statistics of one group.

    Args:
        label: the group's.
        settings: the group's.
        runs: how many scores there are.
        mean: of all scores.
        iqm: their interquartile mean.
        interval: of the interquartile mean, 95 %; None for a single run.
        min: the smallest score.
        max: the largest score.
        better: the probability that one of its runs is better than one of the reference's; None for the reference.
    """

    label: str
    settings: dict[str, str]
    runs: int
    mean: float
    iqm: float
    interval: Interval | None
    min: float
    max: float
    better: Improvement | None


@dataclass(frozen=True)
class Comparison:
    """The statistics of all groups.

    Args:
        mode: whether a larger (`max`) or a smaller (`min`) score is better.
        reference: the label of the first row's group, with which the others are compared.
        rows: one for each group.
    """

    mode: Mode
    reference: str
    rows: list[ComparisonRow]


def report(groups: Sequence[Group], mode: Mode, ranked: bool = False) -> Comparison:
    """The statistics of these groups; the same groups always give the same numbers.

    Args:
        groups: at least one, all with runs on the same environments.
        mode: whether a larger or a smaller score is better.
        ranked: put the best interquartile mean first; otherwise groups stay in their order.
    """
    middle = {id(group): float(stats.iqm(stats.pooled(group.strata))) for group in groups}
    if ranked:
        groups = sorted(groups, key=lambda group: middle[id(group)], reverse=mode == "max")
    rows = []
    for group in groups:
        scores = stats.pooled(group.strata)
        rows.append(
            ComparisonRow(
                label=group.label,
                settings=group.settings,
                runs=len(scores),
                mean=float(stats.mean(scores)),
                iqm=middle[id(group)],
                interval=stats.interval(group.strata),
                min=float(scores[0]),
                max=float(scores[-1]),
                better=None
                if group is groups[0]
                else stats.probability_of_improvement(group.strata, groups[0].strata, mode=mode),
            )
        )
    return Comparison(mode, groups[0].label, rows)
