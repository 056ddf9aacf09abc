"""Plots of word vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from lab.plots import COLORS, MARKERS, RULE, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS, PAIRS = 3, 10  # kinds of pairs, and pairs of each
WORDS = 40  # without pairs
ORDER = ("first of a pair", "second")
LABEL = 0.036  # height of a label, as a share of the panel
ROUNDS = 100


def word_map(vectors: Tensor, index: Mapping[str, int], pairs: Mapping[str, Sequence[tuple[str, str]]]) -> Figure:
    """The words of each kind of pairs on their two principal components; lines join a pair.

    Without pairs the first words of the index are drawn, which are the most frequent ones.
    """
    panels = {kind: list(each)[:PAIRS] for kind, each in list(pairs.items())[:PANELS] if each}
    panels = panels or {
        f"the {min(WORDS, len(index))} most frequent words": [(word, word) for word in list(index)[:WORDS]]
    }
    unit = F.normalize(vectors.float().cpu(), dim=1)
    with figure(1, len(panels), width=4.2, height=4.2) as (drawing, axes):
        for axis, (kind, joined) in zip([axes] if len(panels) == 1 else axes, panels.items(), strict=True):
            words = list(dict.fromkeys(word for pair in joined for word in pair))
            chosen = unit[[index[word] for word in words]]
            centred = chosen - chosen.mean(0)
            plane = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:2].T
            at = dict(zip(words, plane.tolist(), strict=True))
            for a, b in joined:
                axis.plot(*zip(at[a], at[b], strict=True), color=RULE, linewidth=1, zorder=1)
            for column, color, marker, which in zip(zip(*joined, strict=True), COLORS, MARKERS, ORDER, strict=False):
                look = {"color": color, "marker": marker, "zorder": 2}
                axis.scatter(*zip(*(at[word] for word in column), strict=True), s=14, label=which, **look)
            axis.set(title=kind, xlabel="first principal component", ylabel="second")
            axis.margins(x=0.3, y=0.1)
            low, high = axis.get_ylim()
            least = LABEL * (high - low) if pairs else 0.0  # many words without pairs would go far from their places
            for side, offset, align in ((-1, -5, "right"), (1, 5, "left")):  # labels stand outside
                shown = {word: place for word, place in at.items() if (place[0] < 0) == (side < 0)}
                heights = apart([y for _, y in shown.values()], least)
                for (word, (x, _)), y in zip(shown.items(), heights, strict=True):
                    axis.annotate(
                        word, (x, y), xytext=(offset, 0), textcoords="offset points", ha=align, va="center", fontsize=7
                    )
        if any(pairs.values()):
            drawing.legend(*drawing.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return drawing


def apart(heights: Sequence[float], least: float) -> list[float]:
    """Heights of labels, moved from one another until they are `least` apart, in the same order.

    >>> [round(height, 3) for height in apart([0.5, 0.0, 0.0], least=0.2)]
    [0.5, -0.1, 0.1]
    """
    moved, order = list(heights), sorted(range(len(heights)), key=lambda i: heights[i])
    for _ in range(ROUNDS):
        for below, above in pairwise(order):
            missing = least - (moved[above] - moved[below])
            if missing > 0:
                moved[below], moved[above] = moved[below] - missing / 2, moved[above] + missing / 2
    return moved
