"""Learning curves with bands, and scores with intervals, in one style."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.comparison.curves import Curve
from lab.comparison.groups import Selection
from lab.comparison.metric import names
from lab.comparison.report import Comparison
from lab.files import replacing
from lab.plots import COLORS, better, columns_of, figure, thousands

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
WIDE, NARROW = 58, 34  # characters in a line of a label: above a score, and in a legend
CAPS, LINE = 14, 12  # points: the caps of an interval, and a line of a label, from top to bottom

Look = Mapping[str, Any]  # colour, line and marker of a group


def draw(path: Path, selection: Selection, figures: Comparison, curves: Sequence[Curve] = ()) -> None:
    """Writes the picture of `draw_all`.

    Args:
        path: its ending chooses the format: .png, .pdf or .svg.
        selection: what is compared.
        figures: its report.
        curves: its learning curves, if there are any.

    Raises:
        OSError: it cannot be written.
    """
    drawing = draw_all(selection, figures, curves)
    with replacing(path) as file:
        drawing.savefig(file, format=path.suffix[1:].lower())


def draw_all(selection: Selection, figures: Comparison, curves: Sequence[Curve] = ()) -> Figure:
    """A panel of curves for each metric on each environment, and the scores with their intervals.

    Args:
        selection: what is compared.
        figures: its report.
        curves: its learning curves, if there are any.
    """
    drawn = {(curve.metric, curve.environment) for curve in curves}
    places = sorted(drawn, key=lambda place: (selection.curves.index(place[0]), place[1]))
    panels = len(places) + 1
    columns = columns_of(panels, 3)
    looks = styles([row.label for row in figures.rows])
    lines = max(_folded(row.label, WIDE).count("\n") + 1 for row in figures.rows)
    height = max(3.4, 0.9 + (0.27 + 0.17 * lines) * len(figures.rows))
    with figure(math.ceil(panels / columns), columns, width=5.0, height=height) as (drawing, axes):
        flat = list(axes.flat) if panels > 1 else [axes]
        for panel, (metric, environment) in zip(flat, places, strict=False):
            here = [curve for curve in curves if (curve.metric, curve.environment) == (metric, environment)]
            draw_curves(panel, here, looks, legend=False)  # the labels of the scores are one
            what = ",\n".join(names(metric))  # of several names each has a line
            panel.set(xlabel=selection.axis, ylabel=f"{what} (IQM)", title=environment or "Learning curves")
        draw_scores(flat[panels - 1], figures, looks)
        flat[panels - 1].set(xlabel=better(selection.metric, figures.mode))
        for unused in flat[panels:]:
            unused.set_axis_off()
    return drawing


def draw_curves(
    axes: Any, curves: Sequence[Curve], looks: Mapping[str, Look] | None = None, legend: bool = True
) -> None:
    """Each curve, the interquartile mean over seeds, with the band of its 95 % interval.

    Args:
        axes: matplotlib's, to draw into.
        curves: of one metric and one environment.
        looks: by label, as `styles` makes them.
        legend: name the curves, beside the axes.
    """
    looks = looks or styles([curve.label for curve in curves])
    for curve in curves:
        look = looks[curve.label]
        color, line = look["color"], look["linestyle"]
        axes.plot(curve.steps, curve.values, linestyle=line, color=color, label=_folded(curve.label, NARROW))
        if curve.band:
            axes.fill_between(curve.steps, curve.band.low, curve.band.high, color=color, alpha=0.15, linewidth=0)
    axes.margins(x=0.02)
    axes.xaxis.set_major_formatter(thousands)
    if legend:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def draw_scores(axes: Any, figures: Comparison, looks: Mapping[str, Look] | None = None) -> None:
    """One row for each group: label and number of runs, interquartile mean, and the interval of that as a bar.

    Args:
        axes: matplotlib's, to draw into.
        figures: the rows, from top to bottom.
        looks: by label, as `styles` makes them.
    """
    from matplotlib.transforms import ScaledTranslation

    looks = looks or styles([row.label for row in figures.rows])
    for place, row in enumerate(figures.rows):
        look = looks[row.label]
        color, line = look["color"], look["linestyle"]
        if row.interval:
            ends = [row.interval.low, row.interval.high]
            # caps that are taller than the point, behind which a short bar hides
            caps = {"marker": "|", "markersize": CAPS, "markeredgewidth": 1.5}
            axes.plot(ends, [place] * 2, color=color, linestyle=line, linewidth=2.5, **caps)
        axes.plot([row.iqm], [place], color=color, marker=look["marker"], markersize=6, linestyle="none")
        words = f"{_folded(row.label, WIDE)} ({row.runs})"
        above = (
            CAPS / 2 + 2 + LINE / 2 * (words.count("\n") + 1)
        ) / 72  # inches, whatever the scores and the height are
        left = axes.get_yaxis_transform() + ScaledTranslation(0, above, axes.figure.dpi_scale_trans)
        axes.plot([0.015, 0.055], [place] * 2, color=color, linestyle=line, linewidth=2, transform=left)
        axes.text(0.07, place, words, transform=left, va="center", clip_on=True)
    axes.set_yticks([])
    axes.set_ylim(len(figures.rows) - 0.65, -0.95)
    axes.set(title="IQM and its 95 % interval (runs)")


def styles(labels: Sequence[str]) -> dict[str, Look]:
    """A look for each label; where there are more than colours, dashes and markers tell them apart."""
    looks: dict[str, Look] = {}
    for number, label in enumerate(labels):
        again, color = divmod(number, len(COLORS))
        looks[label] = {
            "color": COLORS[color],
            "linestyle": DASHES[again % len(DASHES)],
            "marker": MARKERS[again % len(MARKERS)],
        }
    return looks


def _folded(label: str, width: int) -> str:
    """The label on lines of this width, broken between settings; a setting that is longer is cut."""
    lines: list[str] = []
    for part in re.split(r" (?=[\w.]+=)", label):
        if lines and len(lines[-1]) + 1 + len(part) <= width:
            lines[-1] += f" {part}"
        else:
            lines.append(part if len(part) <= width else f"{part[: width - 3]}...")
    return "\n".join(lines)
