"""Plots of meta-learning: what a few gradient steps, or a few attempts, change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lab.plots import COLORS, MARKERS, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NORMAL = 1.96  # standard errors on either side of a mean, for an interval of 95 %


def adaptation(errors: Mapping[str, Tensor], shots: int) -> Figure:
    """The error after each step, with intervals over the tasks.

    Args:
        errors: name of a method -> its error (N, steps + 1) on each task.
        shots: points that a task is adapted to.
    """
    from matplotlib.ticker import LogLocator

    with figure(width=5.0, height=3.4) as (drawing, axes):
        for (name, each), marker in zip(errors.items(), MARKERS, strict=False):
            values = each.double().cpu()
            mean, half = values.mean(0), NORMAL * values.std(0, correction=0) / len(values) ** 0.5
            (line,) = axes.plot(mean, marker=marker, markersize=4, label=name)
            low, high = (mean - half).clamp(min=1e-6), mean + half
            axes.fill_between(range(len(mean)), low, high, color=line.get_color(), alpha=0.25, linewidth=0)
        count = len(next(iter(errors.values())))
        axes.set(
            yscale="log",
            xlabel=f"gradient steps on {shots} points",
            ylabel="mean squared error",
            title=f"Error on {count:,} new tasks",
            xticks=range(values.shape[1]),
        )
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        for written in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            written("{x:g}")
        axes.legend()
    return drawing


def task(points: Mapping[str, Tensor], x: Tensor, predicted: Mapping[int, Tensor]) -> Figure:
    """One task: its curve, the points that are adapted to, and what is predicted after some steps.

    Args:
        points: `support_x`, `support_y`, `query_x` and `query_y` of the task, (P, 1).
        x: inputs (N, 1).
        predicted: number of steps -> predictions (N, 1) for them.
    """
    rows = {name: values.detach().float().cpu().flatten() for name, values in points.items()}
    with figure(width=5.0, height=3.4) as (drawing, axes):
        order = rows["query_x"].argsort()
        axes.plot(rows["query_x"][order], rows["query_y"][order], color=COLORS[-1], linewidth=2.5, label="the task")
        for (steps, y), style in zip(predicted.items(), (":", "--", "-"), strict=False):
            label = "before" if not steps else f"after {steps} step" + "s" * (steps > 1)
            axes.plot(x.detach().float().cpu(), y.detach().float().cpu(), style, label=label)
        axes.plot(rows["support_x"], rows["support_y"], "o", color=COLORS[6], label="points adapted to", zorder=5)
        axes.set(xlabel="x", ylabel="y", title="Adapting to a new sine")
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawing


def attempts(returns: np.ndarray, optimal: float) -> Figure:
    """The return of each attempt of a trial, with intervals over the trials.

    Args:
        returns: (N, K) of N trials with K attempts.
        optimal: mean return of who knows the task; NaN if nobody can say.
    """
    from matplotlib.ticker import MaxNLocator

    number = np.arange(1, returns.shape[1] + 1)
    mean, half = returns.mean(0), NORMAL * returns.std(0) / len(returns) ** 0.5
    with figure(width=5.0, height=3.4) as (drawing, axes):
        (line,) = axes.plot(number, mean, marker=MARKERS[0], label="the agent")
        axes.fill_between(number, mean - half, mean + half, color=line.get_color(), alpha=0.25, linewidth=0)
        if not np.isnan(optimal):
            axes.axhline(optimal, color=COLORS[-1], linestyle="--", label="optimum if the task is known")
        axes.set(xlabel="attempt", ylabel="mean return", title=f"{len(returns):,} trials of new tasks")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return drawing
