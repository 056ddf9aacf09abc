"""Plots of classifiers of any field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from lab.plots import SHARES, figure, text_on

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 40  # classes whose names find room beside a matrix
COUNTED = 16  # classes whose counts find room inside it


def confusion(matrix: Tensor, names: Sequence[str], examples: str = "images") -> Figure:
    """The confusion matrix, true classes in rows, as shares of the row.

    >>> confusion(torch.tensor([[8, 2], [1, 9]]), ["cat", "dog"]).axes[0].get_title(loc="left")
    '85.0 % of 20 test images right'

    Args:
        matrix: (K, K) counts.
        names: of the classes.
        examples: the word for what was classified.
    """
    from matplotlib.colors import PowerNorm

    count, total = len(names), matrix.sum().clamp(min=1)
    shares = matrix / matrix.sum(1, keepdim=True).clamp(min=1)
    side = 4.0 + 0.12 * min(count, NAMED)
    with figure(width=side + 0.7, height=side) as (drawing, axes):
        visible = PowerNorm(0.5, 0, 1)  # also where one in a hundred is
        image = axes.imshow(shares.numpy(), cmap=SHARES, norm=visible, interpolation="nearest")
        if count <= NAMED:
            upright = max(map(len, names)) <= 2
            axes.set_xticks(range(count), names, rotation=0 if upright else 90)
            axes.set_yticks(range(count), names)
            axes.tick_params(labelsize=9 if count <= COUNTED else 7)
        if count <= COUNTED:
            for row, column in matrix.nonzero().tolist():
                color = text_on(image.cmap(visible(float(shares[row, column]))))
                axes.text(column, row, int(matrix[row, column]), ha="center", va="center", color=color, fontsize=8)
        right = 100 * float(matrix.diagonal().sum() / total)
        numbered = "" if count <= NAMED else ", number of the class"
        axes.set(
            title=f"{right:.1f} % of {int(matrix.sum()):,} test {examples} right",
            xlabel=f"predicted class{numbered}",
            ylabel=f"true class{numbered}",
        )
        axes.grid(visible=False)
        drawing.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return drawing
