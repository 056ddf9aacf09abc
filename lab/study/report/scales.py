"""The axes of a study's plots: each setting on the scale on which it was searched."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lab.plots import thousands
from lab.study.plan.space import Choice, Dimension, Range
from lab.study.report.render import label
from lab.study.report.summary import TrialSummary

LONG = 16  # characters of a label
ROOM = 22  # characters of all labels that find room side by side below a panel
RATIO = 30  # of the largest and the smallest value, from which on an axis is logarithmic where the space says nothing
DECADES = 2  # up to so many a logarithmic axis has ticks between the powers of ten, too
MARGIN = 0.06  # of an axis, at each end


@dataclass(frozen=True)
class Axis:
    """The axis of a setting, or of a metric.

    Args:
        key: of the recipe, or the metric's name.
        labels: of the categories in their order; empty for numbers.
        log: whether equal ratios have equal distances.
        limits: the smallest and the largest number that could be; None for those of the values.
        whole: whether only whole numbers make sense.
    """

    key: str
    labels: tuple[str, ...] = ()
    log: bool = False
    limits: tuple[float, float] | None = None
    whole: bool = False

    def place(self, trial: TrialSummary) -> float:
        """The trial's place; not a number if it has no such setting."""
        if self.key not in trial.settings:
            return math.nan
        value = trial.settings[self.key]
        return float(self.labels.index(label(value)) if self.labels else value)

    def apply(self, axis: Any) -> None:
        """Scale, limits and ticks of one of matplotlib's axes."""
        from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

        set_limits = getattr(axis.axes, f"set_{axis.axis_name}lim")
        if self.labels:
            axis.set_ticks(range(len(self.labels)), [short(text) for text in self.labels])
            set_limits(-0.5, len(self.labels) - 0.5)
        elif self.log:
            axis.axes.set(**{f"{axis.axis_name}scale": "log"})
            low, high = self.limits or axis.get_view_interval()
            decades = math.log10(high / low)
            subs = (1, 2, 5) if decades <= 1 else (1, 3) if decades <= DECADES else (1,)  # at most six labels
            axis.set_major_locator(LogLocator(subs=subs, numticks=5))
            axis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.set_minor_formatter(NullFormatter())
            if self.limits is not None:
                margin = (high / low) ** MARGIN
                set_limits(low / margin, high * margin)
        else:
            axis.set_major_locator(MaxNLocator(4, integer=self.whole))
            if self.limits is not None:
                low, high = self.limits
                set_limits(low - MARGIN * (high - low), high + MARGIN * (high - low))
        if axis.axis_name == "x":
            long = self.log or sum(len(short(text)) for text in self.labels) > ROOM
            axis.axes.tick_params("x", rotation=30 if long else 0)

    def marks(self, low: float, high: float) -> Iterator[tuple[float, str]]:
        """Height from 0 to 1 and text of the tick labels where the axis is one of parallel coordinates.

        >>> [text for _, text in Axis("test/return").marks(-1309, -165)]
        ['-1310', '-1020', '-737', '-451', '-165']

        Args:
            low: the place of the lower end; the exponent of ten if the axis is logarithmic.
            high: that of the upper end.
        """
        span = high - low if high > low else 1.0
        if self.labels:
            yield from (((place - low) / span, text) for place, text in enumerate(self.labels))
            return
        for part in (0, 0.25, 0.5, 0.75, 1) if high > low else (0,):
            value = low + part * span
            yield part, thousands(float(f"{10**value if self.log else value:.3g}"))


def axis_of(key: str, dimensions: Sequence[Dimension], trials: Sequence[TrialSummary]) -> Axis:
    """The axis of a setting: categories for a list of values, else a scale as that of its range.

    Args:
        key: of the recipe.
        dimensions: the space of the study.
        trials: that are drawn.
    """
    values = [trial.settings[key] for trial in trials if key in trial.settings]
    found = [dimension for dimension in _all(dimensions) if dimension.key == key]
    ranges = [dimension for dimension in found if isinstance(dimension, Range)]
    if ranges and len(ranges) == len(found):
        limits = min(each.low for each in ranges), max(each.high for each in ranges)
        whole = all(each.kind == "int" for each in ranges)
        return Axis(key, log=all(each.log for each in ranges), limits=limits, whole=whole)
    listed = [label(value) for each in found if isinstance(each, Choice) for value in each.values]
    seen = sorted({label(value) for value in values}, key=lambda text: (len(text), text))
    if listed or not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return Axis(key, tuple(dict.fromkeys([*listed, *seen])))
    return Axis(key, log=min(values) > 0 and max(values) >= RATIO * min(values))


def short(text: str, most: int = LONG) -> str:
    """The text, cut to so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _all(dimensions: Sequence[Dimension]) -> Iterator[Dimension]:
    """The dimensions, and those that their values open."""
    for dimension in dimensions:
        yield dimension
        if isinstance(dimension, Choice):
            for inner in dimension.inner:
                yield from _all(inner)
