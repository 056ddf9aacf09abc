"""Plots of a classifier of images: its errors, its attention and its spikes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from lab.plots import COLORS, INK, WRONG, figure
from lab.vision.plots.tiles import bare, heading, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST = 24  # images on a page, in rows of 8
ATTENDED = 8  # images whose attention is drawn
SPIKING = 4  # images whose spikes are drawn


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
        title = "Test images with the least probability for their true class, and the most probable other class"
        heading(drawing, title)
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


def attention(images: Tensor, maps: Tensor) -> Figure:
    """Images, and below each of them its grey version with what a network looks at in colour.

    Args:
        images: (N, C, H, W) from 0 to 1.
        maps: (N, h, w) from 0.
    """
    tiles, shares = rgb(images), (maps / maps.amax((1, 2), keepdim=True)).float().cpu().numpy()
    with figure(2, ATTENDED, width=1.35, height=1.5) as (drawing, axes):
        title = "Where the class token looks in the last layer (mean of its heads); bright is much"
        heading(drawing, title)
        for place in axes.flat:
            place.set_axis_off()
        for i, (tile, share) in enumerate(zip(tiles, shares, strict=True)):
            axes[0, i].imshow(tile, interpolation="nearest")
            axes[1, i].imshow(tile.mean(-1), cmap="gray", interpolation="nearest")
            sides = (-0.5, tile.shape[1] - 0.5, tile.shape[0] - 0.5, -0.5)
            axes[1, i].imshow(share, cmap="inferno", alpha=0.6, extent=sides, vmin=0, vmax=1, interpolation="bilinear")
    return drawing


def spikes(images: Tensor, trains: Tensor) -> Figure:
    """Images, and below each of them a dot for each spike of each hidden neuron.

    Args:
        images: (N, C, H, W) from 0 to 1, at most `SPIKING`.
        trains: (N, T, neurons), 0 or 1.
    """
    tiles, trains = rgb(images), trains.float().cpu()
    _, steps, neurons = trains.shape
    with figure(2, SPIKING, width=2.0, height=2.3) as (drawing, axes):
        heading(drawing, "Spikes of the hidden neurons for the test images with the largest loss")
        for place in axes.flat:
            place.set_axis_off()
        for i, (tile, train) in enumerate(zip(tiles, trains, strict=True)):
            image, raster = axes[:, i]
            image.imshow(tile, interpolation="nearest")
            bare(image, f"{int(train.sum())} spikes")
            step, neuron = train.nonzero().T
            raster.set_axis_on(), image.set_axis_on()
            raster.plot(step + 1, neuron + 1, ".", color=COLORS[0], markersize=2.5)
            raster.set(xlim=(0.5, steps + 0.5), ylim=(-1, neurons + 2), xlabel="time step")
        axes[1, 0].set_ylabel("hidden neuron")
    return drawing
