"""Plots of a classifier of images: its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from lab.plots import INK, WRONG, figure
from lab.vision.plots.tiles import rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST = 24  # images on a page, in rows of 8


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
