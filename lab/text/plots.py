"""Plots of the tasks on texts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lab.plots import COLORS, INK, WRONG, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST = 12  # texts on a page
WIDTH = 84  # characters of a line
GAP = 0.6  # between two texts, in lines


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
    """Texts on the first two main directions: on the left their classes, on the right the groups that were found."""
    x = places[:, -2] if places.shape[1] > 1 else 0 * places[:, -1]  # of a few texts there is one direction
    with figure(1, 2, width=3.8, height=3.6) as (drawing, axes):
        for axis, title, numbers in ((axes[0], "classes", labels), (axes[1], "groups by k-means", found)):
            for number in sorted(set(numbers)):
                chosen = [i for i, each in enumerate(numbers) if each == number]
                name = names[number] if axis is axes[0] else None
                color = COLORS[number % len(COLORS)]
                axis.scatter(x[chosen], places[chosen, -1], s=6, color=color, label=name, linewidths=0)
            axis.set(title=title, xticks=[], yticks=[])
        axes[1].set_xlabel(f"adjusted Rand index {score:.2f}")
        drawing.legend(loc="outside lower center", ncols=4, fontsize=8, markerscale=2)
    return drawing
