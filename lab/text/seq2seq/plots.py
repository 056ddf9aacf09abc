"""Plots of tasks from text to text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from lab.plots import SHARES, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES = 3
CELL = 0.2  # inches of a token


def attention(examples: Sequence[tuple[Sequence[str], Sequence[str], Tensor]]) -> Figure:
    """The attention of each written token (rows) to the text that was read (columns)."""
    widest = max(len(source) for source, _, _ in examples)
    highest = max(len(target) for _, target, _ in examples)
    width, height = 1.6 + CELL * widest, 1.2 + CELL * highest
    with figure(len(examples), 1, width=width, height=height) as (drawing, axes):
        for axis, (source, target, weights) in zip([axes] if len(examples) == 1 else axes, examples, strict=True):
            axis.imshow(weights.float().cpu().numpy(), cmap=SHARES, vmin=0, vmax=1, aspect="auto")
            axis.set_xticks(range(len(source)), source, rotation=90, fontsize=7)
            axis.set_yticks(range(len(target)), target, fontsize=7)
            axis.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
            axis.grid(visible=False)
        drawing.suptitle("Attention of each written token to the text that is read", fontsize=9)
    return drawing
