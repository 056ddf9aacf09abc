"""Plots of tasks on sequences: the gradient over time, classes, steps, predictions and forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lab.plots import COLORS, INK, MARKERS, RIGHT, SHARES, WRONG, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEQUENCES = 12  # that are drawn step by step
CURVES = 6
DRAWN = 120  # points of a series with its forecasts


def gradient(sizes: Tensor) -> Figure:
    """The size of the loss's gradient at each step of the input, (T,), where it is not 0."""
    values = sizes.float().cpu().numpy()
    steps = np.arange(1, len(values) + 1)
    with figure(width=6.8, height=3.0) as (drawing, axes):
        known = values > 0
        axes.plot(steps[known], values[known], color=COLORS[0], marker="." if len(steps) <= 60 else None)
        if known.any():
            axes.set_yscale("log")
        axes.set(title="Gradient of the test loss over time", xlabel="step of the input", ylabel="size of the gradient")
        axes.set_xlim(0.5, len(steps) + 0.5)
        if not known.all():
            note = f"0 at {int((~known).sum())} of {len(steps)} steps"
            axes.text(0.99, 0.97, note, transform=axes.transAxes, ha="right", va="top", color=INK, fontsize=8)
    return drawing


def classes(matrix: Tensor, names: Sequence[str]) -> Figure:
    """The share of each class that is recognised, beside the share of the class itself; matrix (K, K) of counts."""
    counts = matrix.sum(1)
    recall = (matrix.diagonal() / counts.clamp(min=1)).numpy()
    shares, places = (counts / counts.sum().clamp(min=1)).numpy(), np.arange(len(names))
    with figure(width=max(4.5, 0.45 * len(names) + 1.5), height=3.0) as (drawing, axes):
        axes.bar(places - 0.2, recall, 0.4, color=RIGHT, label="recognised (recall)")
        axes.bar(places + 0.2, shares, 0.4, color=COLORS[-1], label="share of all labels")
        axes.set_xticks(places, names, rotation=0 if max(map(len, names)) <= 8 else 90)
        total = float(matrix.diagonal().sum() / matrix.sum().clamp(min=1))
        axes.set(
            title=f"{100 * total:.1f} % of {int(matrix.sum()):,} test labels right", xlabel="true class", ylim=(0, 1)
        )
        drawing.legend(loc="outside lower center", ncols=2)
    return drawing


def steps(labels: Tensor, predicted: Tensor, names: Sequence[str]) -> Figure:
    """The labels of some sequences step by step; a cross marks those that were missed.

    Args:
        labels: (N, T), -1 where a step is not scored.
        predicted: (N, T).
        names: of the classes.
    """
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    labels, predicted = labels[:SEQUENCES].cpu(), predicted[:SEQUENCES].cpu()
    values = np.ma.masked_less(labels.numpy(), 0)
    with figure(width=6.8, height=0.9 + 0.22 * len(labels)) as (drawing, axes):
        colors = ListedColormap(colormaps[SHARES]([(i + 0.5) / len(names) for i in range(len(names))]))
        image = axes.imshow(
            values, cmap=colors, aspect="auto", vmin=-0.5, vmax=len(names) - 0.5, interpolation="nearest"
        )
        rows, columns = ((labels >= 0) & (labels != predicted)).nonzero(as_tuple=True)
        axes.plot(columns, rows, "x", color=WRONG, markersize=5)
        axes.set(title="Labels of test sequences; crosses are errors", xlabel="step", ylabel="sequence")
        axes.grid(visible=False)
        bar = drawing.colorbar(image, ax=axes)
        if len(names) <= 10:
            bar.set_ticks(range(len(names)), labels=list(names))
    return drawing


def scatter(targets: Tensor, predicted: Tensor) -> Figure:
    """Predictions for sequences over the true values, both (N,)."""
    true, found = targets.float().cpu(), predicted.float().cpu()
    both = torch.cat([true, found])
    ends = [float(both.min()), float(both.max())]
    with figure(width=4.2, height=4.0) as (drawing, axes):
        axes.plot(ends, ends, color=INK, linestyle="--", linewidth=1, label="exact")
        axes.scatter(true, found, s=14, color=COLORS[0], label="test sequence")
        axes.set(title="Predicted and true values", xlabel="true", ylabel="predicted")
        drawing.legend(loc="outside lower center", ncols=2)
    return drawing


def curves(targets: Tensor, predicted: Tensor) -> Figure:
    """The values of some sequences at every step, and what was predicted, both (N, T)."""
    with figure(2, CURVES // 2, width=2.4, height=1.7) as (drawing, panels):
        for panel, true, found in zip(panels.flat, targets.float().cpu(), predicted.float().cpu(), strict=False):
            panel.plot(true, color=INK, linestyle="--", linewidth=1, label="true")
            panel.plot(found, color=COLORS[1], linewidth=1.5, label="predicted")
        handles, labels = panels.flat[0].get_legend_handles_labels()
        drawing.legend(handles, labels, loc="outside lower center", ncols=2)
        drawing.suptitle("Test sequences over their steps", x=0.01, ha="left")
    return drawing


def forecast(rows: Mapping[str, Tensor], quantiles: Sequence[float]) -> Figure:
    """The series of the test, with forecasts one horizon apart, their intervals, and the last value kept.

    Args:
        rows: windows of the test: `time` (N,), `x` (N, T), `y` (N, horizon), `quantiles` (N, horizon, Q).
        quantiles: their levels, of which 0.5 is the forecast itself.
    """
    time, true, found = (rows[name].float().cpu().numpy() for name in ("time", "y", "quantiles"))
    horizon, median = true.shape[1], quantiles.index(0.5)
    time = (time - time.min()).astype(int)
    shown = time < max(DRAWN, 3 * horizon)
    series = np.full(time[shown].max() + horizon, np.nan)  # windows of other processes are gaps
    for i, values in zip(time[shown], true[shown], strict=True):
        series[i : i + horizon] = values
    with figure(width=6.8, height=3.4) as (drawing, axes):
        axes.plot(series, color=INK, linewidth=1.2, label="series")
        for k, i in enumerate(np.flatnonzero(shown & (time % horizon == 0))):
            steps = time[i] + np.arange(horizon)
            style = {"marker": "o" if horizon == 1 else None, "markersize": 2}
            label = (f"{quantiles[0]:g} to {quantiles[-1]:g}", "forecast", "same as last") if k == 0 else 3 * (None,)
            if len(quantiles) > 1:
                wide = steps if horizon > 1 else steps + np.array([-0.5, 0.5])  # one point has no width
                band = [np.broadcast_to(found[i, :, end], wide.shape) for end in (0, -1)]
                axes.fill_between(wide, *band, color=COLORS[1], alpha=0.25, linewidth=0, label=label[0])
            axes.plot(steps, found[i, :, median], color=COLORS[1], linewidth=1.5, label=label[1], **style)
            last = np.full(horizon, float(rows["x"][i, -1]))
            axes.plot(steps, last, color=COLORS[-1], linestyle=":", label=label[2], **style)
        title = f"Forecasts of {horizon} point{'s' * (horizon > 1)}, each from what came before"
        axes.set(title=title, xlabel="point of the test", ylabel="value")
        drawing.legend(loc="outside lower center", ncols=4)
    return drawing


def errors(by_name: Mapping[str, Tensor]) -> Figure:
    """The mean absolute error of each forecast by how far ahead it looks; each (horizon,)."""
    with figure(width=5.5, height=3.0) as (drawing, axes):
        looks = zip((COLORS[1], COLORS[-1], COLORS[2], COLORS[0]), MARKERS, strict=False)
        for (name, values), (color, marker) in zip(by_name.items(), looks, strict=False):
            ahead, style = np.arange(1, len(values) + 1), "-" if name == "network" else "--"
            label, points = name.replace("_", " "), values.float().cpu()
            axes.plot(ahead, points, style, color=color, marker=marker, markersize=4, label=label)
        axes.set(title="Test error by distance", xlabel="points ahead", ylabel="mean absolute error")
        axes.set_ylim(bottom=0)
        drawing.legend(loc="outside lower center", ncols=4)
    return drawing
