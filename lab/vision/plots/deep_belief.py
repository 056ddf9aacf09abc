"""Plots of a deep belief network: receptive fields, and images that it samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lab.plots import figure
from lab.vision.plots.tiles import bare, montage, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLES = 10  # along each side of a square
COLUMNS, ROWS = 10, 6  # units of a layer


def receptive_fields(layers: list[Tensor]) -> Figure:
    """Weights on the pixels (H, C, S, S) of the first units of each layer; grey is 0, white a unit's largest."""
    with figure(1, len(layers), width=4.0, height=4.0 * ROWS / COLUMNS + 0.3) as (drawing, places):
        for depth, (place, weights) in enumerate(zip(np.atleast_1d(places), layers, strict=True), 1):
            shown = weights[: COLUMNS * ROWS]
            largest = shown.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
            place.imshow(montage(rgb(0.5 + 0.5 * shown / largest), COLUMNS), interpolation="nearest")
            bare(place, f"Layer {depth}: {len(shown)} of {len(weights)} units")
    return drawing


def samples(images: Tensor, steps: int) -> Figure:
    """Images (N, C, S, S) that the network samples."""
    with figure(width=6.0, height=6.3) as (drawing, place):
        place.imshow(montage(rgb(images), SAMPLES), interpolation="nearest")
        bare(place, f"Samples after {steps:,} steps of Gibbs sampling in the top layer")
    return drawing
