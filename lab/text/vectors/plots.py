"""Plots of word vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from lab.plots import COLORS, RULE, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS, PAIRS = 3, 10  # kinds of pairs, and pairs of each
WORDS = 40  # without pairs


def word_map(vectors: Tensor, index: Mapping[str, int], pairs: Mapping[str, Sequence[tuple[str, str]]]) -> Figure:
    """The words of each kind of pairs on their two principal components; lines join a pair.

    Without pairs the first words of the index are drawn, which are the most frequent ones.
    """
    panels = {kind: list(each)[:PAIRS] for kind, each in list(pairs.items())[:PANELS] if each}
    panels = panels or {
        f"the {min(WORDS, len(index))} most frequent words": [(word, word) for word in list(index)[:WORDS]]
    }
    unit = F.normalize(vectors.float().cpu(), dim=1)
    with figure(1, len(panels), width=4.2, height=4.0) as (drawing, axes):
        for axis, (kind, joined) in zip([axes] if len(panels) == 1 else axes, panels.items(), strict=True):
            words = list(dict.fromkeys(word for pair in joined for word in pair))
            chosen = unit[[index[word] for word in words]]
            centred = chosen - chosen.mean(0)
            plane = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:2].T
            at = dict(zip(words, plane.tolist(), strict=True))
            for a, b in joined:
                axis.plot(*zip(at[a], at[b], strict=True), color=RULE, linewidth=1, zorder=1)
            for column, color in zip(zip(*joined, strict=True), COLORS, strict=False):
                axis.scatter(*zip(*(at[word] for word in column), strict=True), s=14, color=color, zorder=2)
            for word, (x, y) in at.items():
                axis.annotate(word, (x, y), xytext=(3, 3), textcoords="offset points", fontsize=7)
            axis.set(title=kind, xlabel="first principal component", ylabel="second")
            axis.margins(0.15)
    return drawing
