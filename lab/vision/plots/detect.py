"""Plots of detection: true and found boxes over images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from lab.plots import INK, figure
from lab.vision.plots.tiles import bare, colours, heading, outlined, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS, ROWS = 4, 2
LEAST_SCORE = 0.5  # of boxes that are drawn


def boxes(images: Tensor, true: Tensor, found: Tensor, names: Sequence[str], masks: Tensor | None = None) -> Figure:
    """Images with the boxes that are found, class and score beside them, and dotted the true ones.

    Args:
        images: (N, C, H, W) from 0 to 1.
        true: (N, K, 5) class, left, top, right, bottom; NaN is no box.
        found: (N, M, 6) the same with the score behind.
        names: of the classes.
        masks: (N, H, W) classes of the pixels that are found, counted from 1, whose edges are drawn.
    """
    from matplotlib.patches import Rectangle

    shades, tiles = colours(len(names)), rgb(images)
    if masks is not None:
        tiles = outlined(tiles, masks.cpu().numpy())
    with figure(ROWS, COLUMNS, width=2.2, height=2.3) as (drawing, axes):
        title = f"Boxes with a score of {LEAST_SCORE} or more; dotted, the true ones"
        heading(drawing, title)
        for i, place in enumerate(axes.flat):
            bare(place, "")
            if i >= len(images):
                continue
            place.imshow(tiles[i], interpolation="nearest")
            for label, left, top, right, bottom in true[i].tolist():
                if label == label:  # not NaN
                    edges = (left - 0.5, top - 0.5), right - left, bottom - top
                    place.add_patch(Rectangle(*edges, fill=False, edgecolor="white", linestyle=":", linewidth=1.2))
            for label, left, top, right, bottom, score in found[i].tolist():
                if score >= LEAST_SCORE:
                    edges = (left - 0.5, top - 0.5), right - left, bottom - top
                    shade = shades[int(label)]
                    place.add_patch(Rectangle(*edges, fill=False, edgecolor=shade, linewidth=1.5))
                    height, width = images.shape[2:]
                    high, far = top < 0.1 * height, left > 0.6 * width  # where words would leave the picture
                    words = {"va": "top" if high else "bottom", "ha": "right" if far else "left"}
                    look = {"facecolor": "white", "alpha": 0.75, "edgecolor": shade, "pad": 0.8, "linewidth": 0.6}
                    said = f"{names[int(label)]} {score:.2f}"
                    place.text(right if far else left, top - 0.5, said, fontsize=6, color=INK, bbox=look, **words)
    return drawing
