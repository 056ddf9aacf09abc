"""The plot of images from captions: one for each pair of colour and shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lab.multimodal.text_to_image.judge import names_of
from lab.plots import COLORS, figure
from lab.vision.plots.tiles import bare, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pairs(images: Tensor, names: list[str], unseen: list[int]) -> Figure:
    """An image of each pair that was asked for; those that training never saw are framed.

    Args:
        images: (pairs, C, S, S) from 0 to 1.
        names: of the pairs, a colour and a shape.
        unseen: which of them training never saw.
    """
    from matplotlib.patches import Rectangle

    colors, shapes = (names_of(names, part) for part in (0, 1))
    side = images.shape[-1] + 2
    sheet = np.ones((side * len(colors), side * len(shapes), 3))
    with figure(width=7.0, height=7.0 * len(colors) / len(shapes) + 0.6) as (drawing, axes):
        for i, (name, tile) in enumerate(zip(names, rgb(images), strict=True)):
            color, shape = name.split()
            top, left = side * colors.index(color), side * shapes.index(shape)
            sheet[top + 1 : top + side - 1, left + 1 : left + side - 1] = tile
            if i in unseen:
                place = (left - 0.5, top - 0.5)
                axes.add_patch(Rectangle(place, side, side, fill=False, ec=COLORS[1], lw=2.5))
        axes.imshow(sheet, interpolation="nearest")
        framed = "; framed: pairs that training never saw" if unseen else ""
        bare(axes, f"Images of captions{framed}")
        axes.set_xticks([side * (i + 0.5) for i in range(len(shapes))], shapes, rotation=40, ha="right")
        axes.set_yticks([side * (i + 0.5) for i in range(len(colors))], colors)
        axes.tick_params(length=0)
    return drawing
