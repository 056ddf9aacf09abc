"""Plots of a classifier: confusion matrix and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from lab.plots import INK, SHARES, WRONG, figure, text_on
from lab.vision.plots.tiles import rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST = 24  # images on a page, in rows of 8
NAMED = 40  # classes whose names find room beside a matrix
COUNTED = 16  # classes whose counts find room inside it


def confusion(matrix: Tensor, names: list[str]) -> Figure:
    """The confusion matrix, true classes in rows, as shares of the row; matrix (K, K) of counts."""
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
            title=f"{right:.1f} % of {int(matrix.sum()):,} test images right",
            xlabel=f"predicted class{numbered}",
            ylabel=f"true class{numbered}",
        )
        axes.grid(visible=False)
        drawing.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return drawing


def most_wrong(worst: dict[str, Tensor], names: list[str]) -> Figure:
    """The images whose true class was given the least probability; above each that class, and the most probable other.

    Args:
        worst: `image` (N, C, H, W) from 0 to 1, `label` (N,), `probabilities` (N, K).
        names: of the classes.
    """
    tiles, labels = rgb(worst["image"]), worst["label"].cpu()
    own = worst["probabilities"].cpu().gather(1, labels.unsqueeze(1)).squeeze(1)
    other, rivals = worst["probabilities"].cpu().scatter(1, labels.unsqueeze(1), -1).max(1)
    columns, count = 8, min(WORST, len(tiles))
    with figure(-(-count // columns), columns, width=1.35, height=1.75) as (drawing, axes):
        drawing.suptitle(
            "Test images with the least probability for their true class, and the most probable other class",
            x=0.01, ha="left", fontsize=11,
        )  # fmt: skip
        for place in axes.flat:
            place.set_axis_off()
        for i, (place, tile) in enumerate(zip(axes.flat, tiles, strict=False)):
            place.imshow(tile, interpolation="nearest")
            wrong = bool(other[i] > own[i])
            second = "predicted" if wrong else "next"
            words = f"true {names[labels[i]]} {own[i]:.2f}\n{second} {names[rivals[i]]} {other[i]:.2f}"
            color = WRONG if wrong else INK
            place.set_title(
                words, fontsize=8 if len(words) < 45 else 6, color=color, weight="normal", loc="center", pad=2
            )
    return drawing
