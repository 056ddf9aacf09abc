"""Plots of the tasks on texts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from lab.plots import COLORS, INK, LOOKS, WRONG, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST = 12  # texts on a page
WIDTH = 84  # characters of a line
GAP = 0.6  # between two texts, in lines
ORDINALS = ("first", "second", "third")


def most_wrong(rows: Sequence[tuple[str, str, str]]) -> Figure:
    """The texts with the largest loss: each with its true and its predicted class."""
    lines = [textwrap.wrap(text, WIDTH)[:2] or ["(no known word)"] for text, _, _ in rows]
    height = sum(map(len, lines)) + GAP * len(lines) + 0.5
    with figure(width=8.0, height=0.5 + 0.17 * height) as (drawing, axes):
        axes.set(title="Test texts with the largest loss", xlim=(0, 1), ylim=(height, 0))
        axes.set_axis_off()
        line = 0.8
        for (_, true, predicted), text in zip(rows, lines, strict=True):
            wrong = true != predicted
            words = f"true {true}, predicted {predicted}" if wrong else f"{true}, as predicted"
            axes.text(0, line, words, fontsize=8, color=WRONG if wrong else INK)
            axes.text(0.3, line, "\n".join(text), fontsize=8, family="monospace", va="baseline")
            line += len(text) + GAP
    return drawing


def loss_by_position(losses: Tensor, baselines: Mapping[str, float]) -> Figure:
    """The mean loss (T,) of a token by the number of tokens that are seen before it; lines for models that count."""
    with figure(width=6.4, height=3.6) as (drawing, axes):
        axes.plot(range(1, len(losses) + 1), losses.numpy(), color=COLORS[0], label="network")
        for color, (name, loss) in zip(COLORS[1:], baselines.items(), strict=False):
            axes.axhline(loss, color=color, linestyle="--", linewidth=1.2, label=name)
        axes.set(title="Test loss by position", xlabel="tokens seen", ylabel="loss of the next token, nats")
        drawing.legend(loc="outside lower center", ncols=3)
    return drawing


def groups(places: Any, labels: Sequence[int], names: Sequence[str], found: Sequence[int], score: float) -> Figure:
    """Texts on two main directions: on the left their classes, on the right the groups that were found.

    The first direction is left out where there are three: vectors of words are not centred, so all texts share it.
    Groups have no names; one looks like the class that it shares texts with, each class once.

    Args:
        places: the coordinates of the texts on the main directions, (N, D).
        labels: their classes, N numbers below K.
        names: of the K classes.
        found: the groups of the texts, N numbers below K.
        score: how far groups and classes agree, 1 at most.
    """
    from scipy.optimize import linear_sum_assignment

    last = places.shape[1] - 1
    across, up = (1, 2) if last > 1 else (0, last)  # of a few texts there is one direction
    shared = np.zeros((len(names), len(names)))
    np.add.at(shared, (list(found), list(labels)), 1)
    _, matched = linear_sum_assignment(shared, maximize=True)
    title = f"k-means (adjusted Rand index {score:z.2f})"  # never -0.00
    with figure(1, 2, width=3.8, height=3.8) as (drawing, axes):
        for axis, said, numbers in ((axes[0], "classes", labels), (axes[1], title, matched[list(found)])):
            for i, name in enumerate(names):
                chosen = np.flatnonzero(np.asarray(numbers) == i)
                color, marker = LOOKS[i % len(LOOKS)]
                look = {"s": 12, "color": color, "marker": marker, "linewidths": 0}
                axis.scatter(places[chosen, across], places[chosen, up], label=name, **look)
            axis.set(title=said, xlabel=f"{ORDINALS[across]} main direction")
        axes[0].set_ylabel(f"{ORDINALS[up]} main direction")
        handles = axes[0].get_legend_handles_labels()
        caption = "class, or the class that a group matches best"
        drawing.legend(*handles, title=caption, loc="outside lower center", ncols=4, fontsize=8, markerscale=1.5)
    return drawing
