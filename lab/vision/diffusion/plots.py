"""The plot of a diffusion: images on the way from noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lab.plots import figure
from lab.vision.plots.tiles import bare, montage, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 12  # images
ROWS = 8  # times


def denoising(images: Sequence[Tensor], times: Sequence[int]) -> Figure:
    """Images (N, C, H, W) from 0 to 1 at each of the times, a row each; of many times, some."""
    rows = torch.linspace(0, len(images) - 1, min(ROWS, len(images))).round().int().tolist()
    tiles = rgb(torch.cat([images[row][:SHOWN] for row in rows]))
    columns, height = min(SHOWN, len(images[0])), tiles.shape[1] + 1
    with figure(width=0.5 * columns + 0.8, height=0.5 * len(rows) + 0.5) as (drawing, axes):
        axes.imshow(montage(tiles, columns), interpolation="nearest")
        bare(axes, "From noise to images")
        axes.set_yticks([height * (i + 0.5) for i in range(len(rows))], [str(times[row]) for row in rows])
        axes.tick_params(length=0)
        axes.set_ylabel("time of the diffusion")
    return drawing
