"""The plot of super-resolution: small images, and what interpolation and the network make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from lab.plots import figure
from lab.vision.plots.tiles import bare, montage, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 10  # images


def comparison(images: dict[str, Tensor]) -> Figure:
    """A row for the small images, bicubic interpolation, the network and the truth.

    Args:
        images: from 0 to 1: `small` (N, C, h, w), and `bicubic`, `network` and `image` (N, C, H, W).
    """
    truth = images["image"]
    pixels = F.interpolate(images["small"], size=truth.shape[-2:], mode="nearest")
    rows = {"small": pixels, "bicubic": images["bicubic"], "network": images["network"], "truth": truth}
    with figure(len(rows), 1, width=9.0, height=9.0 / SHOWN + 0.25) as (drawing, places):
        for place, (name, tiles) in zip(places, rows.items(), strict=True):
            place.imshow(montage(rgb(tiles[:SHOWN]), SHOWN), interpolation="nearest")
            error = float((tiles[:SHOWN] - truth[:SHOWN]).square().mean())
            said = f", squared error of a pixel {error:.4f}" if name in ("bicubic", "network") else ""
            side = f", {images['small'].shape[-1]} x {images['small'].shape[-2]}" if name == "small" else ""
            bare(place, f"{name}{side}{said}")
    return drawing
