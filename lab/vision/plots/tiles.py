"""Images as pictures: in colour, with the outlines of masks, side by side on one sheet."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lab.plots import COLORS
from lab.vision.data.images import IGNORE_INDEX

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTER = 0.1  # inches of a heading's letter


def rgb(images: Tensor) -> NDArray[np.float32]:
    """Images (N, C, H, W) from 0 to 1, grey or in colour, as pictures (N, H, W, 3)."""
    found: NDArray[np.float32] = images.float().clamp(0, 1).cpu().expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    return found


def outlined(tiles: NDArray[Any], masks: NDArray[Any]) -> NDArray[Any]:
    """Pictures (N, H, W, 3) with the edges of their masks (N, H, W), each class in a colour; class 0 has none."""
    marked = (masks > 0) & (masks != IGNORE_INDEX)
    inner = np.pad(masks, ((0, 0), (1, 1), (1, 1)), mode="edge")
    beside = (inner[:, :-2, 1:-1], inner[:, 2:, 1:-1], inner[:, 1:-1, :-2], inner[:, 1:-1, 2:])
    edge = marked & np.any([masks != other for other in beside], axis=0)
    return np.where(edge[..., None], tinted(masks), tiles)


def tinted(masks: NDArray[Any]) -> NDArray[np.float64]:
    """The colour of each pixel's class (N, H, W, 3), of masks (N, H, W); class 1 has the first one."""
    shades = colours(int(masks[masks != IGNORE_INDEX].max(initial=1)))
    found: NDArray[np.float64] = shades[(masks.astype(int) - 1) % len(shades)]
    return found


def montage(tiles: NDArray[Any], columns: int) -> NDArray[Any]:
    """Pictures (N, H, W, 3) side by side, a white line of one pixel between them."""
    count, height, width, _ = tiles.shape
    rows = -(-count // columns)
    sheet = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, 3))
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * (height + 1), (i % columns) * (width + 1)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def heading(drawing: Figure, title: str) -> None:
    """A title above all panels, on as many lines as it needs, with room below; the layout has to be `constrained`."""
    layout: Any = drawing.get_layout_engine()
    layout.set(h_pad=0.08)
    lines = textwrap.fill(title, int(drawing.get_figwidth() / LETTER))
    drawing.suptitle(lines, x=0.01, ha="left", fontsize=11)


def bare(axes: Any, title: str) -> None:
    """Axes without numbers and lines, around a picture."""
    axes.set(title=title, xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def colours(count: int) -> NDArray[np.float64]:
    """Colours for so many classes, (count or more, 3): the palette, then its lighter and darker shades, and again.

    Its grey is left out, which could not be seen on a grey picture.
    """
    from matplotlib.colors import to_rgb

    palette = np.array([to_rgb(color) for color in COLORS[:-1]])
    shades = np.concatenate([palette, 0.45 * palette + 0.55, 0.55 * palette])
    return np.tile(shades, (max(1, -(-count // len(shades))), 1))
