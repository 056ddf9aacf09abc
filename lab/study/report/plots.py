"""Plots of a study: history, importance of parameters, slices, ranks and parallel coordinates.

Optuna has such plots too. Their labels overlap where values are lists or keys are long, and they change pyplot's global
style, so these are drawn here, in the common style and without pyplot.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.plots import COLORS, INK, RULE, figure
from lab.study.report.chart import NotEnoughData, chart
from lab.study.report.render import label
from lab.study.report.summary import TrialSummary
from lab.study.report.table import StudyTable, varying
from lab.study.work.record import StudyRecord

MOST_KEYS, MOST_PANELS = 8, 4  # in one plot; of a square of panels, in one row
RATIO = 30  # of the largest and the smallest value, from which on an axis is logarithmic
LONG = 16  # characters of a label
SHADES = "Blues"  # the later, or the better, the darker


@dataclass(frozen=True)
class Axis:
    """The axis of a setting.

    Args:
        key: of the recipe.
        labels: of the values that are no numbers, in their order; empty if all are.
        log: whether equal ratios have equal distances.
    """

    key: str
    labels: tuple[str, ...]
    log: bool

    def place(self, trial: TrialSummary) -> float:
        """The trial's place; not a number if it has no such setting."""
        if self.key not in trial.settings:
            return math.nan
        value = trial.settings[self.key]
        return float(self.labels.index(label(value)) if self.labels else value)

    def apply(self, axis: Any) -> None:
        """Scale and ticks of one of matplotlib's axes."""
        if self.labels:
            axis.set_ticks(range(len(self.labels)), [_short(text) for text in self.labels])
        elif self.log:
            from matplotlib.ticker import LogLocator, NullFormatter

            axis.axes.set(**{f"{axis.axis_name}scale": "log"})
            axis.set_major_locator(LogLocator(numticks=5))
            axis.set_minor_formatter(NullFormatter())
        else:
            axis.get_major_locator().set_params(nbins=4)


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
    """Each trial's value in the order of trials, and the best one so far."""
    _need(trials, 2)
    trials = sorted(trials, key=lambda trial: trial.number)
    numbers = [trial.number for trial in trials]
    with figure(1, len(record.metrics), width=6.0, height=3.6) as (drawing, axes):
        for i, (panel, metric, mode) in enumerate(zip(_flat(axes), record.metrics, record.modes, strict=True)):
            values = [trial.values[i] for trial in trials]
            best: Callable[[float, float], float] = min if mode == "min" else max
            leaders = list(itertools.accumulate(values, best))
            panel.plot(numbers, leaders, drawstyle="steps-post", color=COLORS[1], label="best so far")
            panel.scatter(numbers, values, s=16, color=COLORS[0], label="trial")
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
            bars = panel.barh([_short(name, 40) for name in names], [shares[name] for name in names], color=COLORS[0])
            panel.bar_label(bars, fmt="%.2f", padding=3)
            panel.set(xlim=(0, 1.1 * max(shares.values())), xlabel=f"share of the variance of {metric}")
            panel.set(title=f"{record.name}: importance")
            panel.grid(visible=False, axis="y")
        yield drawing


def slices(record: StudyRecord, trials: Sequence[TrialSummary]) -> Iterator[Any]:
    """The first metric over each setting."""
    _need(trials, 2)
    scales = [_axis(key, trials) for key in _keys(trials, 1)]
    columns = min(len(scales), MOST_PANELS)
    rows = math.ceil(len(scales) / columns)
    with figure(rows, columns, width=2.7, height=2.9) as (drawing, axes):
        panels = _flat(axes)
        for place, (panel, scale) in enumerate(zip(panels, scales, strict=False)):
            points = panel.scatter(
                [scale.place(trial) for trial in trials],
                [trial.values[0] for trial in trials],
                c=[trial.number for trial in trials],
                **_dots(),
            )
            scale.apply(panel.xaxis)
            panel.set(xlabel=scale.key, ylabel=record.metrics[0] if place % columns == 0 else "")
            panel.set_ylim(_limits([trial.values[0] for trial in trials]))
            panel.tick_params("y", labelleft=place % columns == 0)
            if scale.labels:
                panel.set_xlim(-0.5, len(scale.labels) - 0.5)
                panel.tick_params("x", rotation=30 if max(map(len, scale.labels)) > 4 else 0)
        _bar(drawing, points, panels[: len(scales)], "trial")
        _rest(panels[len(scales) :])
        drawing.suptitle(f"{record.name}: values of each setting", x=0.01, ha="left", fontsize="medium")
        yield drawing


def parallel(record: StudyRecord, trials: Sequence[TrialSummary]) -> Iterator[Any]:
    """A line for each trial through all its settings to its value."""
    import numpy as np
    from matplotlib import colormaps

    _need(trials, 2)
    scales = [_axis(key, trials) for key in _keys(trials, 2)]
    order = _ranks(record, trials)
    values = np.array([[scale.place(trial) for scale in scales] for trial in trials])  # (trials, keys)
    values = np.column_stack([values, [trial.values[0] for trial in trials]])
    scales.append(Axis(record.metrics[0], (), log=False))
    for place, scale in enumerate(scales):
        values[:, place] = np.log10(values[:, place]) if scale.log else values[:, place]
    low, high = np.nanmin(values, 0), np.nanmax(values, 0)
    span = np.where(high > low, high - low, 1.0)
    heights = (values - low) / span
    with figure(width=max(6.0, 1.5 * len(scales)), height=4.2) as (drawing, axes):
        for place in np.argsort(order):  # the best ones on top
            shade = colormaps[SHADES](0.15 + 0.85 * order[place])
            axes.plot(range(len(scales)), heights[place], color=shade, linewidth=1.2, marker=".", markersize=4)
        for place, scale in enumerate(scales):
            axes.axvline(place, color=RULE, linewidth=1, zorder=0)
            for height, text in _marks(scale, low[place], high[place], span[place]):
                box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
                axes.text(place + 0.04, height, _short(text), fontsize=7, va="center", bbox=box, zorder=5)
        names = [_short(scale.key, 24) for scale in scales]
        axes.set_xticks(range(len(scales)), names, rotation=20, ha="right", rotation_mode="anchor")
        axes.set(yticks=[], ylim=(-0.05, 1.05), xlim=(-0.1, len(scales) - 0.5))
        axes.set_title(f"{record.name}: settings of each trial, the better the darker")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        yield drawing


def rank(record: StudyRecord, trials: Sequence[TrialSummary]) -> Iterator[Any]:
    """Each pair of settings, and how good trials were there."""
    _need(trials, 3)
    scales = [_axis(key, trials) for key in _keys(trials, 2)][: MOST_PANELS + 1]
    order, size = _ranks(record, trials), len(scales) - 1
    with figure(size, size, width=2.9, height=2.4) as (drawing, axes):
        panels = _flat(axes)
        for row in range(size):
            for column in range(size):
                panel, x, y = panels[row * size + column], scales[column], scales[row + 1]
                if column > row:  # its mirror image is there already
                    _rest([panel])
                    continue
                places = [[scale.place(trial) for trial in trials] for scale in (x, y)]
                points = panel.scatter(*places, c=order, vmin=0, vmax=1, **_dots())
                x.apply(panel.xaxis)
                y.apply(panel.yaxis)
                panel.set(xlabel=x.key if row == size - 1 else "", ylabel=y.key if column == 0 else "")
                panel.tick_params("x", rotation=30 if x.labels and max(map(len, x.labels)) > 4 else 0)
                panel.tick_params("y", labelleft=column == 0)
        bar = _bar(drawing, points, panels, f"rank by {record.metrics[0]}")
        bar.set_ticks([0, 0.5, 1], labels=["worst", "median", "best"])
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


def _axis(key: str, trials: Sequence[TrialSummary]) -> Axis:
    values = [trial.settings[key] for trial in trials if key in trial.settings]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return Axis(key, (), log=min(values) > 0 and max(values) >= RATIO * min(values))
    return Axis(key, tuple(sorted({label(value) for value in values}, key=lambda text: (len(text), text))), log=False)


def _ranks(record: StudyRecord, trials: Sequence[TrialSummary]) -> list[float]:
    """For each trial its place by the first metric, from 0, the worst, to 1, the best; equal ones share theirs."""
    from scipy.stats import rankdata

    sign = -1 if record.modes[0] == "min" else 1
    ranks = rankdata([sign * trial.values[0] for trial in trials])
    return [float(each) for each in (ranks - 1) / max(len(trials) - 1, 1)]


def _marks(scale: Axis, low: float, high: float, span: float) -> Iterator[tuple[float, str]]:
    """Height and text of the tick labels of a parallel axis."""
    if scale.labels:
        yield from (((place - low) / span, text) for place, text in enumerate(scale.labels))
        return
    for part in (0, 0.25, 0.5, 0.75, 1) if high > low else (0,):
        value = low + part * span
        yield part, f"{10**value if scale.log else value:.4g}"


def _short(text: str, most: int = LONG) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """The same limits for panels in which not all trials are."""
    margin = 0.05 * (max(values) - min(values)) or 1.0
    return min(values) - margin, max(values) + margin


def _flat(axes: Any) -> list[Any]:
    return list(axes.flat) if hasattr(axes, "flat") else [axes]


def _dots() -> dict[str, Any]:
    return {"cmap": SHADES, "s": 22, "edgecolors": INK, "linewidths": 0.4}


def _bar(drawing: Any, points: Any, panels: Sequence[Any], name: str) -> Any:
    return drawing.colorbar(points, ax=panels, label=name, aspect=30, pad=0.01)


def _rest(panels: Sequence[Any]) -> None:
    for panel in panels:
        panel.set_axis_off()
