"""Plots of a study: history, importance of parameters, slices, ranks and parallel coordinates.

Optuna has such plots too. Their labels overlap where values are lists or keys are long, and they change pyplot's global
style, so these are drawn here, in the common style and without pyplot.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.plots import COLORS, INK, PAPER, RULE, SEQUENTIAL, columns_of, figure
from lab.study.report.chart import NotEnoughData, chart
from lab.study.report.scales import Axis, axis_of, short
from lab.study.report.summary import TrialSummary
from lab.study.report.table import StudyTable, varying
from lab.study.work.record import StudyRecord

MOST_KEYS, MOST_IN_PAIRS, MOST_COLUMNS = 8, 5, 5  # settings in one plot; in one of pairs; panels in a row
FAR = 5  # ranges of the better three quarters of the trials, from which on the worst flattens them


def draw(record: StudyRecord, found: StudyTable, folder: Path) -> tuple[list[Path], dict[str, list[str]]]:
    """Writes all plots of a study that have enough data.

    Args:
        record: the study.
        found: its table.
        folder: where they are written.

    Returns:
        The files, and the names of plots that were left out, by reason.
    """
    complete = [trial for trial in record.trials if trial.state == "complete"]
    kinds: dict[str, Callable[[], Iterator[Any]]] = {
        "table": lambda: chart(found),
        "history": lambda: history(record, complete),
        "importance": lambda: importance(record, complete),
        "slice": lambda: slices(record, complete),
        "parallel": lambda: parallel(record, complete),
        "rank": lambda: rank(record, complete),
    }
    files: list[Path] = []
    left_out: dict[str, list[str]] = {}
    for name, make in kinds.items():
        try:
            for drawing in make():
                files.append(folder / f"{name}.png")
                drawing.savefig(files[-1])
        except NotEnoughData as error:
            left_out.setdefault(str(error), []).append(f"{name}.png")
    return files, left_out


def history(record: StudyRecord, trials: Sequence[TrialSummary]) -> Iterator[Any]:
    """Each trial's value in the order of trials, and the best one so far; values far off are told at the edge."""
    _need(trials, 2)
    trials = sorted(trials, key=lambda trial: trial.number)
    numbers = [trial.number for trial in trials]
    with figure(1, len(record.metrics), width=5.0, height=3.2) as (drawing, axes):  # one fits into MLflow's page
        for i, (panel, metric, mode) in enumerate(zip(_flat(axes), record.metrics, record.modes, strict=True)):
            values = [trial.values[i] for trial in trials]
            best: Callable[[float, float], float] = min if mode == "min" else max
            pairs, edge = list(zip(numbers, values, strict=True)), near(values, mode)
            leaders = itertools.accumulate(values if edge is None else [best(value, edge) for value in values], best)
            panel.plot(numbers, list(leaders), drawstyle="steps-post", color=COLORS[1], label="best so far")
            far = [] if edge is None else [pair for pair in pairs if best(pair[1], edge) != pair[1]]
            kept = [pair for pair in pairs if pair not in far]
            panel.scatter(*zip(*kept, strict=True), s=16, color=COLORS[0], label="trial")
            for number, value in far:
                panel.scatter([number], [edge], s=28, color=COLORS[0], marker="v" if mode == "max" else "^")
                beside: dict[str, Any] = {"xytext": (-5, 0), "textcoords": "offset points", "ha": "right"}
                panel.annotate(f"{value:.4g}", (number, edge), va="center", fontsize=7, **beside)
            panel.set(xlabel="trial", ylabel=metric, title=f"{record.name}: history")
            panel.xaxis.get_major_locator().set_params(integer=True)
        drawing.legend(*_flat(axes)[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        yield drawing


def importance(record: StudyRecord, trials: Sequence[TrialSummary]) -> Iterator[Any]:
    """The share of the values' variance that each parameter explains (fANOVA)."""
    import optuna

    _need(trials, 3)
    _keys(trials, 2)
    found = []
    for i in range(len(record.metrics)):
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of values that are the same, or too few
                target = (lambda trial, i=i: trial.values[i]) if len(record.metrics) > 1 else None
                found.append(optuna.importance.get_param_importances(record.optuna, evaluator=evaluator, target=target))
        except (ValueError, RuntimeError):  # all values are the same, or no parameter is in all trials
            found.append({})
    if any(len(each) < 2 or not sum(each.values()) for each in found):
        raise NotEnoughData("needs values that differ, and two parameters that all trials have")
    height = max(2.0, 0.8 + 0.3 * len(found[0]))
    with figure(1, len(found), width=6.0, height=height) as (drawing, axes):
        for panel, metric, shares in zip(_flat(axes), record.metrics, found, strict=True):
            names = list(shares)[::-1]
            bars = panel.barh([short(name, 40) for name in names], [shares[name] for name in names], color=COLORS[0])
            panel.bar_label(bars, fmt="%.2f", padding=3)
            panel.set(xlim=(0, 1.1 * max(shares.values())), xlabel=f"share of the variance of {metric}")
            panel.set(title=f"{record.name}: importance")
            panel.grid(visible=False, axis="y")
        yield drawing


def slices(record: StudyRecord, trials: Sequence[TrialSummary]) -> Iterator[Any]:
    """The first metric over each setting."""
    from matplotlib.ticker import MaxNLocator

    _need(trials, 2)
    scales = [axis_of(key, record.dimensions, trials) for key in _keys(trials, 1)]
    columns = columns_of(len(scales), MOST_COLUMNS)
    with figure(math.ceil(len(scales) / columns), columns, width=2.7, height=2.9) as (drawing, axes):
        panels = _flat(axes)
        for place, (panel, scale) in enumerate(zip(panels, scales, strict=False)):
            points = panel.scatter(
                [scale.place(trial) for trial in trials],
                [trial.values[0] for trial in trials],
                c=[trial.number for trial in trials],
                **_dots(),
            )
            scale.apply(panel.xaxis)
            panel.set(xlabel=short(scale.key, 30), ylabel=record.metrics[0] if place % columns == 0 else "")
            panel.set_ylim(_limits([trial.values[0] for trial in trials]))
            panel.tick_params("y", labelleft=place % columns == 0)
        bar = _bar(drawing, points, panels[: len(scales)], "trial")
        bar.ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        _rest(panels[len(scales) :])
        drawing.suptitle(f"{record.name}: values of each setting", x=0.01, ha="left", fontsize="medium")
        yield drawing


def parallel(record: StudyRecord, trials: Sequence[TrialSummary]) -> Iterator[Any]:
    """A line for each trial through all its settings to its value."""
    import numpy as np
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    _need(trials, 2)
    scales = [axis_of(key, record.dimensions, trials) for key in _keys(trials, 2)]
    order = _ranks(record, trials)
    values = np.array([[scale.place(trial) for scale in scales] for trial in trials])  # (trials, keys)
    values = np.column_stack([values, [trial.values[0] for trial in trials]])
    scales.append(Axis(record.metrics[0]))
    for place, scale in enumerate(scales):
        values[:, place] = np.log10(values[:, place]) if scale.log else values[:, place]
    low, high = np.nanmin(values, 0), np.nanmax(values, 0)
    for place, scale in enumerate(scales):
        if scale.labels:
            low[place], high[place] = 0, len(scale.labels) - 1
    heights = (values - low) / np.where(high > low, high - low, 1.0)
    with figure(width=max(6.0, 1.5 * len(scales)), height=4.2) as (drawing, axes):
        for place in np.argsort(order):  # the best ones on top
            shade = colormaps[SEQUENTIAL](order[place])
            axes.plot(range(len(scales)), heights[place], color=shade, linewidth=1.2, marker=".", markersize=4)
        for place, scale in enumerate(scales):
            axes.axvline(place, color=RULE, linewidth=1, zorder=0)
            for height, text in scale.marks(low[place], high[place]):
                box = {"facecolor": PAPER, "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
                axes.text(place + 0.04, height, short(text), fontsize=7, va="center", bbox=box, zorder=5)
        names = [short(scale.key, 24) for scale in scales]
        axes.set_xticks(range(len(scales)), names, rotation=20, ha="right", rotation_mode="anchor")
        axes.set(yticks=[], ylim=(-0.05, 1.05), xlim=(-0.1, len(scales) - 0.5))
        axes.set_title(f"{record.name}: settings of each trial")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        _bar(drawing, ScalarMappable(cmap=SEQUENTIAL), [axes], *_rank_words(record))
        yield drawing


def rank(record: StudyRecord, trials: Sequence[TrialSummary]) -> Iterator[Any]:
    """Each pair of settings, and how good trials were there."""
    _need(trials, 3)
    keys = _keys(trials, 2)[:MOST_IN_PAIRS]
    pairs = list(itertools.combinations([axis_of(key, record.dimensions, trials) for key in keys], 2))
    order, columns = _ranks(record, trials), columns_of(len(pairs), MOST_COLUMNS)
    with figure(math.ceil(len(pairs) / columns), columns, width=2.9, height=2.5) as (drawing, axes):
        panels = _flat(axes)
        for panel, (x, y) in zip(panels, pairs, strict=False):
            places = [[scale.place(trial) for trial in trials] for scale in (x, y)]
            points = panel.scatter(*places, c=order, vmin=0, vmax=1, **_dots())
            x.apply(panel.xaxis)
            y.apply(panel.yaxis)
            panel.set(xlabel=short(x.key, 30), ylabel=short(y.key, 26))
        _rest(panels[len(pairs) :])
        _bar(drawing, points, panels[: len(pairs)], *_rank_words(record))
        drawing.suptitle(f"{record.name}: pairs of settings", x=0.01, ha="left", fontsize="medium")
        yield drawing


# ---------------------------------------------------------------------------------------------------------- the inside


def _need(trials: Sequence[TrialSummary], count: int) -> None:
    if len(trials) < count:
        raise NotEnoughData(
            f"it needs {count} complete trials, and there {'is' if len(trials) == 1 else 'are'} {len(trials)}"
        )


def _keys(trials: Sequence[TrialSummary], count: int) -> tuple[str, ...]:
    keys = varying(trials)
    if len(keys) < count:
        raise NotEnoughData(f"needs {count} setting{'s' * (count > 1)} that differ{'s' * (count == 1)} between trials")
    return keys[:MOST_KEYS]


def _ranks(record: StudyRecord, trials: Sequence[TrialSummary]) -> list[float]:
    """For each trial its place by the first metric, from 0, the worst, to 1, the best; equal ones share theirs."""
    from scipy.stats import rankdata

    sign = -1 if record.modes[0] == "min" else 1
    ranks = rankdata([sign * trial.values[0] for trial in trials])
    return [float(each) for each in (ranks - 1) / max(len(trials) - 1, 1)]


def near(values: Sequence[float], mode: str) -> float | None:
    """The value beyond which a trial would flatten all others in a plot; None if there is no such trial.

    It lies as far from the best value as twice the range of the better three quarters.

    >>> near([1.0, 2.0, 3.0, 4.0, 900.0], "min")
    7.0

    Args:
        values: of the trials.
        mode: whether a smaller (`min`) or a larger (`max`) value is better.
    """
    ordered = sorted(values, reverse=mode == "max")
    usual = ordered[math.ceil(0.75 * len(ordered)) - 1] - ordered[0]
    if abs(ordered[-1] - ordered[0]) <= FAR * abs(usual) or not usual:
        return None
    return ordered[0] + 2 * usual


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """The same limits for panels in which not all trials are."""
    margin = 0.05 * (max(values) - min(values)) or 1.0
    return min(values) - margin, max(values) + margin


def _flat(axes: Any) -> list[Any]:
    return list(axes.flat) if hasattr(axes, "flat") else [axes]


def _dots() -> dict[str, Any]:
    return {"cmap": SEQUENTIAL, "s": 22, "edgecolors": INK, "linewidths": 0.4}


def _rank_words(record: StudyRecord) -> tuple[str, dict[float, str]]:
    return f"rank by {record.metrics[0]}", {0: "worst", 0.5: "median", 1: "best"}


def _bar(drawing: Any, points: Any, panels: Sequence[Any], name: str, words: Mapping[float, str] | None = None) -> Any:
    bar = drawing.colorbar(points, ax=panels, label=name, aspect=30, pad=0.01)
    if words is not None:
        bar.set_ticks(list(words), labels=list(words.values()))
    return bar


def _rest(panels: Sequence[Any]) -> None:
    for panel in panels:
        panel.set_axis_off()
