"""Plots of generated images: after each epoch, over all epochs, by class, and the accuracy of each class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.plots import COLORS, figure
from lab.vision.plots.tiles import bare, montage, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILMED = 16  # images whose noise stays the same
ROWS = 8  # of a film strip
SQUARE = 8  # images along each side of a page
PER_CLASS, CLASSES = 10, 52  # images of a class, and classes that find room
SECONDS = 0.4  # that each epoch is seen


def epoch(images: Tensor, number: int) -> Figure:
    """Images (16, C, H, W) from 0 to 1 in two rows."""
    with figure(width=6, height=1.9) as (drawing, axes):
        axes.imshow(montage(rgb(images), FILMED // 2), interpolation="nearest")
        bare(axes, f"after epoch {number}")
    return drawing


def film(frames: list[Tensor]) -> Figure:
    """Frames (16, C, H, W) of bytes, from the first to the last, a row each; of many, some."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(ROWS, len(frames))).round().astype(int))
    tiles = rgb(torch.cat([frames[i] for i in chosen]).float() / 255)
    height = tiles.shape[1] + 1
    with figure(width=8, height=0.52 * len(chosen) + 0.4) as (drawing, axes):
        axes.imshow(montage(tiles, FILMED), interpolation="nearest")
        bare(axes, "Images of the same noise after more and more epochs")
        axes.set_yticks([height * (i + 0.5) for i in range(len(chosen))], [str(i + 1) for i in chosen])
        axes.tick_params(length=0)
        axes.set_ylabel("epoch")
    return drawing


def moving(frames: list[Tensor], path: Path) -> None:
    """Writes frames as an animated GIF, twice as large."""
    from PIL import Image

    def page(frame: Tensor) -> Image.Image:
        sheet: NDArray[np.uint8] = (montage(rgb(frame.float() / 255), FILMED // 2) * 255).round().astype(np.uint8)
        return Image.fromarray(sheet.repeat(3, 0).repeat(3, 1))

    first, *rest = [page(frame) for frame in frames]
    first.save(path, save_all=True, append_images=rest, duration=int(1000 * SECONDS), loop=0)


def beside(drawn: Tensor, real: Tensor) -> Figure:
    """Images (N, C, H, W) from 0 to 1 that were drawn, and real ones."""
    with figure(1, 2, width=4, height=4.2) as (drawing, axes):
        for place, images, title in ((axes[0], drawn, "generated"), (axes[1], real, "real")):
            whole = min(len(images) // SQUARE, SQUARE) or 1  # rows
            place.imshow(montage(rgb(images[: whole * SQUARE]), SQUARE), interpolation="nearest")
            bare(place, title)
    return drawing


def by_class(images: Tensor, names: list[str]) -> Figure:
    """Images (K * 10, C, H, W) from 0 to 1, a row for each class that was asked for, in two panels."""
    tiles, half = rgb(images), -(-len(names) // 2)
    height = tiles.shape[1] + 1
    with figure(1, 2, width=4, height=0.37 * half + 0.4) as (drawing, axes):
        for place, begin in ((axes[0], 0), (axes[1], half)):
            shown = names[begin : begin + half]
            place.imshow(
                montage(tiles[begin * PER_CLASS : (begin + len(shown)) * PER_CLASS], PER_CLASS), interpolation="nearest"
            )
            bare(place, "Generated images of each class" if begin == 0 else "")
            place.set_yticks([height * (i + 0.5) for i in range(len(shown))], shown)
            place.tick_params(length=0)
    return drawing


def difficulty(drawn: Tensor, real: Tensor, names: list[str], conditional: bool) -> Figure:
    """The accuracy of each class: bars (K,) for generated images, marks (K,) for real ones, sorted.

    Args:
        drawn: scores of generated images, from 0 to 1, NaN for a class that never occurred.
        real: of real ones.
        names: of the classes.
        conditional: whether scores are how often the classifier reads the class asked for, or how sure it is.
    """
    order = drawn.nan_to_num(-1).argsort(descending=True, stable=True)
    few = len(names) <= 40
    with figure(width=max(6.0, 0.3 * min(len(names), 40)), height=3.2) as (drawing, axes):
        places = range(len(names))
        axes.bar(places, drawn[order].nan_to_num(0).numpy(), color=COLORS[0], width=0.8, label="generated")
        axes.plot(places, real[order].numpy(), "_", color=COLORS[1], markersize=9, markeredgewidth=2, label="real")
        axes.set_xticks(places if few else [], [names[i] for i in order] if few else [])
        axes.tick_params(axis="x", rotation=0 if max(map(len, names)) <= 3 else 90)
        asked, alone = "Images that the reference classifier recognises", "Confidence of the reference classifier"
        axes.set(title=asked if conditional else alone, ylim=(0, 1.02), xlim=(-0.7, len(names) - 0.3))
        axes.set(xlabel="class, the best first", ylabel="share of images" if conditional else "probability")
        axes.grid(axis="x", visible=False)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return drawing
