"""Plots of segmentation: masks over images, and a score for each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lab.plots import COLORS, figure
from lab.vision.data.images import IGNORE_INDEX
from lab.vision.plots.tiles import bare, colours, heading, outlined, rgb, tinted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 8  # images side by side
TINT = 0.7  # how much of a pixel is the colour of its class


def overlays(part: dict[str, Tensor], names: list[str], title: str) -> Figure:
    """Images as they are, with the edges of the true masks, and in grey, coloured by the predicted classes.

    Args:
        part: `image` (N, C, H, W) from 0 to 1, `mask` and `predicted` (N, H, W), `error` (N,), wrong pixels.
        names: of the classes.
        title: which images these are.
    """
    tiles, truth, found = rgb(part["image"]), part["mask"].cpu().numpy(), part["predicted"].cpu().numpy()
    rows = {"image": tiles, "true": outlined(tiles, truth), "predicted": _painted(tiles, found)}
    count = max(1, min(COLUMNS, len(tiles)))
    with figure(3, count, width=1.45, height=1.75) as (drawing, axes):
        axes = np.reshape(axes, (3, count))
        heading(drawing, title)
        for row, (name, drawn) in enumerate(rows.items()):
            for i, place in enumerate(axes[row]):
                bare(place, "")
                if i < len(tiles):
                    place.imshow(drawn[i], interpolation="nearest")
                    words = (
                        f"{100 * part['error'][i]:.1f} % wrong"
                        if row == 0
                        else _said((truth, found)[row - 1][i], names)
                    )
                    place.set_title(words, fontsize=7, weight="normal", loc="center", pad=2)
            axes[row, 0].set_ylabel(name)
        _legend(drawing, truth, found, names)
    return drawing


def bars(iou: Tensor, dice: Tensor, names: list[str]) -> Figure:
    """IoU and Dice of each class, the best on top; iou and dice (K,), NaN for a class that does not occur."""
    order = [i for i in iou.argsort().tolist() if not iou[i].isnan()]
    places = np.arange(len(order))
    with figure(width=6.5, height=1.2 + 0.3 * len(order)) as (drawing, axes):
        axes.barh(places + 0.2, dice[order].numpy(), 0.38, color=COLORS[5], alpha=0.45, label="Dice")
        axes.barh(places - 0.2, iou[order].numpy(), 0.38, color=COLORS[0], label="IoU")
        for place, i in zip(places, order, strict=True):
            axes.text(float(iou[i]), place - 0.21, f" {iou[i]:.3f}", va="center", size=7)
            axes.text(float(dice[i]), place + 0.19, f" {dice[i]:.3f}", va="center", size=7)
        axes.set_yticks(places, [names[i] for i in order])
        axes.set(xlim=(0, 1.07), xlabel="score, 1 is perfect")
        axes.set_title(f"Mean IoU {iou.nanmean():.3f}, mean Dice {dice.nanmean():.3f}, of all test pixels")
        axes.margins(y=0.02)
        axes.grid(axis="y", visible=False)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return drawing


def _legend(drawing: Figure, truth: NDArray[Any], found: NDArray[Any], names: list[str]) -> None:
    """Below the images: the colour of each class that occurs in a mask."""
    from matplotlib.patches import Patch

    shown = [i for i in np.union1d(truth, found).astype(int).tolist() if i > 0 and i != IGNORE_INDEX]
    shades = colours(max(shown, default=1))
    patches = [Patch(color=tuple(shades[(i - 1) % len(shades)]), label=names[i]) for i in shown]
    if patches:
        drawing.legend(handles=patches, loc="outside lower center", ncols=10, fontsize=8, handlelength=1.0)


def _painted(tiles: NDArray[Any], masks: NDArray[Any]) -> NDArray[Any]:
    """Pictures (N, H, W, 3) in grey, the pixels of each class but the first in its colour; masks (N, H, W)."""
    grey = tiles.mean(-1, keepdims=True)
    found: NDArray[Any] = np.where((masks > 0)[..., None], (1 - TINT) * grey + TINT * tinted(masks), grey)
    return found


def _said(mask: NDArray[Any], names: list[str]) -> str:
    """The classes of a mask, the largest first."""
    values, counts = np.unique(mask[(mask > 0) & (mask != IGNORE_INDEX)], return_counts=True)
    return ", ".join(names[value] for value in values[counts.argsort()[::-1]][:3]) or names[0]
