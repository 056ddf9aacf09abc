"""The plot of translations between two styles: what was given, what became of it, that back again, and the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lab.plots import figure
from lab.vision.plots.tiles import bare, montage, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 14  # images
ROWS = {"given": "given", "found": "translated", "back": "and back", "truth": "the truth"}
TITLES = {"to_target": "Into the style of the target", "to_source": "Into the style of the source"}


def translations(images: dict[str, Tensor]) -> Figure:
    """Four rows of images for each way.

    Args:
        images: (N, C, H, W) from 0 to 1, by `given_`, `found_`, `back_` or `truth_` and behind it `to_target` or
            `to_source`.
    """
    columns = len(images["given_to_target"][:SHOWN])
    with figure(len(TITLES), 1, width=0.55 * columns + 1.6, height=0.55 * len(ROWS) + 0.35) as (drawing, places):
        for place, (way, title) in zip(places, TITLES.items(), strict=True):
            sheet = montage(rgb(torch.cat([images[f"{row}_{way}"][:SHOWN] for row in ROWS])), columns)
            place.imshow(sheet, interpolation="nearest")
            bare(place, title)
            step = sheet.shape[0] / len(ROWS)
            place.set_yticks([step * (i + 0.5) for i in range(len(ROWS))], list(ROWS.values()))
            place.tick_params(length=0)
    return drawing
