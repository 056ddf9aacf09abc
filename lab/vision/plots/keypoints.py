"""Plots of key points: true and predicted points, and the error of each point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lab.plots import COLORS, figure
from lab.vision.plots.tiles import bare, heading, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS, ROWS = 6, 2
PLACES = COLUMNS * ROWS  # images on a page
WIDTHS = {"image": "image's width", "points": "points' width"}


def overlays(part: dict[str, Tensor], width: str, title: str) -> Figure:
    """Images with their points as rings, the predicted ones as dots, and a line from each to its own.

    Args:
        part: `image` (N, C, H, W) from 0 to 1, `points` and `predicted` (N, P, 2) in pixels, `error` (N,) in widths.
        width: what errors are measured in.
        title: which images these are.
    """
    tiles, points, found = rgb(part["image"]), part["points"].cpu().numpy(), part["predicted"].cpu().numpy()
    with figure(max(1, -(-min(PLACES, len(tiles)) // COLUMNS)), COLUMNS, width=1.9, height=2.1) as (drawing, axes):
        heading(drawing, f"{title}: rings are true points, dots are predicted")
        for place in axes.flat:
            place.set_axis_off()
        for i, (place, tile) in enumerate(zip(axes.flat, tiles, strict=False)):
            bare(place, "")
            place.imshow(tile, interpolation="nearest", extent=(0, tile.shape[1], tile.shape[0], 0))
            place.plot(*np.stack([points[i], found[i]], 1).T, color=COLORS[1], linewidth=1.2)
            place.plot(*points[i].T, "o", color=COLORS[5], markersize=7, markerfacecolor="none", markeredgewidth=1.2)
            seen = found[i][~np.isnan(points[i]).any(1)]
            place.plot(*seen.T, "o", color=COLORS[1], markersize=3.5, markeredgecolor="white", markeredgewidth=0.4)
            words = f"{100 * part['error'][i]:.1f} % of the {WIDTHS[width]}"
            place.set_title(words, fontsize=7, weight="normal", loc="center", pad=2)
    return drawing


def bars(errors: Tensor, names: list[str], width: str) -> Figure:
    """The mean error of each point, the smallest on top; errors (P,) in widths, NaN for a point that nobody marked."""
    order = [i for i in errors.argsort(descending=True).tolist() if not errors[i].isnan()]
    values = 100 * errors[order].numpy()
    with figure(width=6.5, height=1.2 + 0.22 * len(order)) as (drawing, axes):
        axes.barh(range(len(order)), values, 0.7, color=COLORS[0])
        for place, value in enumerate(values):
            axes.text(value, place, f" {value:.2f}", va="center", size=7)
        axes.set_yticks(range(len(order)), [names[i].replace("_", " ") for i in order])
        axes.set(
            title="Error of each predicted point", xlabel=f"mean distance from the true point, % of the {WIDTHS[width]}"
        )
        axes.grid(axis="y", visible=False)
    return drawing
