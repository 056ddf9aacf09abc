"""Plots of captions: where each word looks, and the captions that are most wrong."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from lab.plots import INK, SHARES, WRONG, figure
from lab.vision.plots.tiles import bare, heading, montage, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES = 4
WORST = 12
COLUMNS = 4
DARKEST = 0.25  # of the light where a word does not look
ROW = 0.25  # height of the row of a word, as a share of the width of a frame


def attention_over_images(images: Tensor, captions: Sequence[str], attention: Tensor) -> Figure:
    """The image, and for each word of the caption how much it looks at each place.

    Args:
        images: (N, C, H, W) from 0 to 1.
        captions: their true captions.
        attention: (N, L, S), of each word to each place, row by row; from 0.
    """
    tiles, words = rgb(images), [caption.split() for caption in captions]
    side, size = round(attention.shape[2] ** 0.5), images.shape[-1]
    columns = 1 + max(map(len, words))
    with figure(len(tiles), columns, width=0.95, height=1.15) as (drawing, grid):
        heading(drawing, "Where each word of the caption looks: the brighter, the more")
        for axes, tile, sentence, weights in zip(grid.reshape(-1, columns), tiles, words, attention, strict=True):
            for axis in axes:
                axis.set_axis_off()
            axes[0].imshow(tile, interpolation="nearest")
            for axis, word, looked in zip(axes[1:], sentence, weights.float().cpu(), strict=False):
                places = (looked / looked.max().clamp(min=1e-9)).reshape(1, 1, side, side)
                light = F.interpolate(places, size=(size, size)).reshape(size, size, 1).numpy()
                axis.imshow(tile * (DARKEST + (1 - DARKEST) * light), interpolation="nearest")
                axis.set_title(word, fontsize=8, loc="center", pad=2, weight="normal")
    return drawing


def attention_over_clips(clips: Tensor, captions: Sequence[str], attention: Tensor) -> Figure:
    """The frames of each clip, and below how much each word of the caption looks at each of them.

    Args:
        clips: (N, T, C, H, W) from 0 to 1.
        captions: their true captions.
        attention: (N, L, T), of each word to each frame; from 0. One frame is the mean of all.
    """
    words = [caption.split() for caption in captions]
    longest = max(map(len, words))
    with figure(len(clips), 1, width=6.4, height=0.95 + 0.2 * longest) as (drawing, axes):
        heading(drawing, "Attention of each word of the caption to the frames of the clip: the darker, the more")
        for axis, clip, sentence, weights in zip(axes.reshape(-1), clips, words, attention, strict=True):
            frames, rows = weights.shape[-1], len(sentence)
            axis.imshow(weights[:rows].float().cpu().numpy(), cmap=SHARES, vmin=0, vmax=1, aspect="auto")
            wide = 0.97 * frames / len(clip)
            high = wide / ROW  # as many rows as make the frames as high as wide
            for number, tile in enumerate(rgb(clip)):
                left = number * frames / len(clip) - 0.5
                place = (left, left + wide, -0.6, -0.6 - high)
                axis.imshow(tile, extent=place, aspect="auto", interpolation="nearest")
            bare(axis, "")
            axis.set(xlim=(-0.5, frames - 0.5), ylim=(rows - 0.5, -0.65 - high), aspect=ROW)
            axis.set_yticks(range(rows), sentence, fontsize=8)
            axis.tick_params(length=0)
    return drawing


def most_wrong(inputs: Tensor, captions: Sequence[str], written: Sequence[str]) -> Figure:
    """The images or clips with the largest loss: the true caption, and the one that was written.

    Args:
        inputs: images (N, C, H, W) or clips (N, T, C, H, W) from 0 to 1; of clips the first, middle and last frame.
        captions: the true ones.
        written: those of the network.
    """
    if inputs.ndim == 5:
        last = inputs.shape[1] - 1
        tiles = [montage(rgb(clip[[0, last // 2, last]]), 3) for clip in inputs]
    else:
        tiles = list(rgb(inputs))
    rows = -(-len(tiles) // COLUMNS)
    with figure(rows, COLUMNS, width=1.9, height=1.9) as (drawing, axes):
        heading(drawing, "Test captions with the largest loss, and what was written")
        for axis in axes.flat:
            axis.set_axis_off()
        for axis, tile, true, found in zip(axes.flat, tiles, captions, written, strict=False):
            axis.imshow(tile, interpolation="nearest")
            right = true == found
            lines = [fill(f"true: {true}", 30), "as written" if right else fill(f"written: {found}", 30)]
            color = INK if right else WRONG
            axis.set_title("\n".join(lines), fontsize=6.5, color=color, weight="normal", loc="center", pad=2)
    return drawing
