"""The plot of a study's table: a dot for each row, curves over one of two settings, or a Pareto front."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lab.plots import COLORS, INK, MARKERS, better, figure
from lab.study.report.render import NAMES, exact, label
from lab.study.report.table import StudyTable, TableRow

MOST = 30  # trials, of which the best are shown
LONG = 80  # characters of a label
WIDE = 10  # of the largest and the smallest value, from which on an axis is logarithmic


class NotEnoughData(Exception):
    """There is too little data for a plot; the message says what it needs."""


def chart(table: StudyTable) -> Iterator[Any]:
    """Yields the figure inside the style context, so that it can be saved there."""
    lines = [line for line in table.lines if line.metrics and line.state != "failed"]
    if not lines:
        raise NotEnoughData("no training is finished")
    along = _along(table)
    if len(table.metrics) > 1:
        yield from _front(table, lines)
    else:
        yield from _curves(table, along) if along else _dots(table)


def _dots(table: StudyTable) -> Iterator[Any]:
    """A dot for each row, grouped by parameter where the study changes one at a time."""
    lines = table.lines if table.one_at_a_time else table.lines[:MOST]
    places, ticks, bold = _places(table, lines)
    metric, mode = table.metrics[0], table.modes[0]
    width = 4.5 + 0.08 * max(map(len, ticks))  # the labels, beside the axes
    with figure(width=width, height=1.5 + 0.21 * len(ticks)) as (drawing, axes):
        for place, line in zip(places, lines, strict=True):
            _line(axes, place, line, metric)
        axes.set_yticks(range(len(ticks)), ticks)
        for place, text in enumerate(axes.get_yticklabels()):
            text.set_fontweight("bold" if place in bold else "normal")
        axes.tick_params("y", length=0)
        axes.set_ylim(len(ticks) - 0.5, -0.7)
        axes.grid(visible=False, axis="y")
        some = f": the best {MOST} of {len(table.lines)} trials" if len(lines) < len(table.lines) else ""
        drawing.suptitle(f"{table.name}{some}", x=0.01, ha="left", fontsize="medium")
        axes.set_xlabel(better(metric, mode))
        _legend(drawing, axes, table)
        yield drawing


def _places(table: StudyTable, lines: tuple[TableRow, ...]) -> tuple[list[int], list[str], set[int]]:
    """The position of each row, the labels from top to bottom, and which labels are names of parameters."""
    places: list[int] = []
    ticks: list[str] = []
    bold: set[int] = set()
    parameter = None
    short = {key: key.rpartition(".")[2] for key in table.keys}
    count = Counter(short.values())
    names = {key: name if count[name] == 1 else key for key, name in short.items()}
    for line in lines:
        if line.parameter is not None and line.parameter != parameter:
            parameter = line.parameter
            bold.add(len(ticks))
            ticks.append(parameter)
        places.append(len(ticks))
        settings = [f"{names[key]}={label(line.settings[key])}" for key in table.keys if key in line.settings]
        text = exact(line.value) if line.parameter is not None else ", ".join([f"trial {line.trial}", *settings])
        ticks.append(text if len(text) <= LONG else f"{text[: LONG - 1]}…")
    return places, ticks, bold


def _line(axes: Any, place: int, line: TableRow, metric: str) -> None:
    found = line.metrics.get(metric)
    if line.published is not None:
        axes.plot([line.published], [place], marker="D", markersize=6, color=COLORS[1], markerfacecolor="none")
    if found is None or line.state == "failed":
        left = axes.get_yaxis_transform()  # the left edge, whatever the values are
        axes.text(0.01, place, line.state, transform=left, va="center", color=INK, fontstyle="italic")
        return
    if found.statistic_interval:
        axes.plot(
            [found.statistic_interval.low, found.statistic_interval.high], [place] * 2, color=COLORS[0], linewidth=2
        )
    seeds = [value for value in found.seeds.values() if math.isfinite(value)]
    axes.plot(seeds, [place] * len(seeds), marker="|", markersize=7, linestyle="none", color=COLORS[0], alpha=0.5)
    axes.plot([found.statistic_value], [place], marker="o", markersize=5.5, color=COLORS[0])


def _along(table: StudyTable) -> str | None:
    """The setting over which a grid can be drawn: of two that vary, the one with three numbers or more."""
    if len(table.keys) != 2 or any(line.state != "complete" for line in table.lines):
        return None
    values = {key: _values(table, key) for key in table.keys}
    if len(table.lines) != math.prod(map(len, values.values())):
        return None  # not every combination
    numbers = [
        key
        for key in table.keys
        if len(values[key]) > 2 and all(isinstance(value, int | float) for value in values[key])
    ]
    return max(numbers, key=lambda key: len(values[key]), default=None)


def _values(table: StudyTable, key: str) -> list[Any]:
    """The values of a setting, each once, in alphabetical order."""
    found = {exact(line.settings[key]): line.settings[key] for line in table.lines if key in line.settings}
    return [found[text] for text in sorted(found)]


def _curves(table: StudyTable, along: str) -> Iterator[Any]:
    """The metric over one setting, with its interval, for each value of the other."""
    (other,) = (key for key in table.keys if key != along)
    metric, mode, places = table.metrics[0], table.modes[0], sorted(_values(table, along))
    with figure(width=6.4, height=4.4) as (drawing, axes):
        for i, value in enumerate(_values(table, other)):
            lines = sorted(
                (line for line in table.lines if line.settings[other] == value), key=lambda line: line.settings[along]
            )
            found = [line.metrics[metric] for line in lines]
            look = {"color": COLORS[i % len(COLORS)], "linestyle": "-" if i < len(COLORS) else "--"}
            marks = {"marker": MARKERS[i % len(MARKERS)], "markersize": 5, "label": label(value)}
            axes.plot(places, [each.statistic_value for each in found], **marks, **look)
            for place, each in zip(places, found, strict=True):
                if each.statistic_interval:
                    axes.plot(
                        [place] * 2,
                        [each.statistic_interval.low, each.statistic_interval.high],
                        linewidth=2.5,
                        alpha=0.5,
                        color=look["color"],
                    )
                seeds = list(each.seeds.values())
                axes.plot(
                    [place] * len(seeds), seeds, marker="_", markersize=8, linestyle="", alpha=0.6, color=look["color"]
                )
        if places[0] > 0 and places[-1] >= WIDE * places[0]:
            axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks(places, [label(place) for place in places])
        several = any(line.finished > 1 for line in table.lines)
        sure = f", {NAMES[table.statistic]} with 95 % interval; dashes are seeds" if several else ""
        axes.set(title=table.name, xlabel=along, ylabel=better(metric, mode))
        drawing.legend(title=f"{other}{sure}", loc="outside lower center", ncols=4)
        yield drawing


def _legend(drawing: Any, axes: Any, table: StudyTable) -> None:
    several = any(line.finished > 1 for line in table.lines)
    looks: list[tuple[str, dict[str, Any]]] = []
    if several:
        name = f"{NAMES[table.statistic]} with 95 % interval"
        looks.append((name, {"marker": "o", "color": COLORS[0], "linewidth": 2}))
        looks.append(("one seed", {"marker": "|", "color": COLORS[0], "alpha": 0.5, "linestyle": "none"}))
    if table.published:
        hollow = {"marker": "D", "color": COLORS[1], "markerfacecolor": "none", "linestyle": "none"}
        looks.append(("published", hollow))
    if looks:
        handles = [axes.plot([], [], label=name, **look)[0] for name, look in looks]
        drawing.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _front(table: StudyTable, lines: list[TableRow]) -> Iterator[Any]:
    """The first two metrics of all trials, those marked that no other is better than in every metric."""
    first, second = table.metrics[:2]
    shown = [line for line in lines if first in line.metrics and second in line.metrics]
    with figure(width=5.0, height=3.8) as (drawing, axes):
        looks = ((False, COLORS[7], "o", "trial"), (True, COLORS[0], "D", "on the Pareto front"))
        for on_front, color, marker, name in looks:
            these = [line for line in shown if bool(line.front) == on_front]
            points = [[line.metrics[metric].mean for line in these] for metric in (first, second)]
            axes.scatter(*points, s=28, color=color, marker=marker, label=name, zorder=2 + on_front)
            for line, x, y in zip(these, *points, strict=True) if on_front else ():
                axes.annotate(str(line.trial), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7)
        words = [better(metric, mode) for metric, mode in _pairs(table)]
        axes.set(title=table.name, xlabel=words[0], ylabel=words[1])
        drawing.legend(loc="outside lower center", ncols=2)
        yield drawing


def _pairs(table: StudyTable) -> list[tuple[str, str]]:
    return list(zip(table.metrics, table.modes, strict=True))[:2]
