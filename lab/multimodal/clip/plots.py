"""Plots of CLIP: similarities, zero-shot predictions, retrieval."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lab.plots import COLORS, INK, RIGHT, RULE, SHARES, figure, text_on
from lab.vision.plots.tiles import bare, heading, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 520  # test images from which the plots are taken


def similarity(shown: dict[str, Tensor], captions: list[str], most: int = 8) -> Figure:
    """Inner products of the first images with different captions, and of those captions.

    Args:
        shown: of N test images `image` (N, C, H, W), and `image_vector` and `text_vector` (N, D).
        captions: their captions.
        most: images and captions.
    """
    rows = _different(captions)[:most]
    n, values = len(rows), (shown["text_vector"][rows] @ shown["image_vector"][rows].T).cpu()
    with figure(width=7.6, height=6.2) as (drawing, axes):
        image = axes.imshow(values.numpy(), cmap=SHARES, vmin=0, vmax=1)
        for i, tile in enumerate(rgb(shown["image"][rows])):
            axes.imshow(tile, extent=(i - 0.46, i + 0.46, -0.56, -1.48), interpolation="nearest")
            for j in range(n):
                color = text_on(image.cmap(image.norm(float(values[i, j]))))
                axes.text(j, i, f"{values[i, j]:z.2f}", ha="center", va="center", fontsize=8, color=color)
        bare(axes, "Cosine similarity of images and captions")
        axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -1.55), anchor="E")
        axes.set_yticks(range(n), [fill(captions[i], 32) for i in rows])
        axes.tick_params(length=0)
    return drawing


def pairs(counts: Tensor, names: list[str], unseen: list[int]) -> Figure:
    """The share of the test images of each pair that got its own prompt; pairs that training never saw are framed.

    Args:
        counts: how often each pair was taken for each (K, K).
        names: of the pairs, a colour and a shape.
        unseen: which of them training never saw.
    """
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    colors, shapes = (list(dict.fromkeys(name.split()[part] for name in names)) for part in (0, 1))
    shares = counts.diagonal() / counts.sum(1)  # nan where there is no such image
    grid = torch.full((len(colors), len(shapes)), torch.nan)
    with figure(width=6.4, height=5.6) as (drawing, axes):
        for i, name in enumerate(names):
            row, column = colors.index(name.split()[0]), shapes.index(name.split()[1])
            grid[row, column] = shares[i]
            if counts[i].sum():
                color = text_on(colormaps[SHARES](float(shares[i])))
                text = f"{100 * float(shares[i]):.0f}"
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
            if i in unseen:
                axes.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, ec=COLORS[1], lw=2))
        image = axes.imshow(100 * grid.numpy(), cmap=SHARES, vmin=0, vmax=100)
        framed = "\nFramed: pairs that training never saw" if unseen else ""
        bare(axes, f"Zero-shot accuracy of {len(names)} prompts{framed}")
        axes.set_xticks(range(len(shapes)), shapes, rotation=40, ha="right")
        axes.set_yticks(range(len(colors)), colors)
        axes.tick_params(length=0)
        axes.set(xlabel="shape", ylabel="colour")
        drawing.colorbar(image, ax=axes, shrink=0.6, label="test images with the right prompt, %")
    return drawing


def zero_shot(shown: dict[str, Tensor], names: list[str], unseen: list[int], most: int = 9) -> Figure:
    """Images, and the five prompts that suit them best; of pairs that training never saw, if there are such.

    Args:
        shown: of N test images `image` (N, C, H, W), `pair` (N,) and `probabilities` (N, K) of the prompts.
        names: of the pairs.
        unseen: which of them training never saw.
        most: images.
    """
    wanted = torch.isin(shown["pair"], torch.tensor(unseen)) if unseen else torch.ones(len(shown["pair"]))
    rows = wanted.nonzero().squeeze(1)[:most]
    probabilities, places = shown["probabilities"][rows].topk(min(5, len(names)))
    columns = 3
    with figure(most // columns, 2 * columns, width=1.75, height=1.6) as (drawing, axes):
        of = " of pairs that training never saw" if unseen else ""
        title = f"Test images{of}, and the most probable of {len(names)} prompts; bold: the true one"
        heading(drawing, title)
        for place in axes.flat:
            place.set_axis_off()
        for i, tile in enumerate(rgb(shown["image"][rows])):
            picture, bars = axes.flat[2 * i], axes.flat[2 * i + 1]
            picture.imshow(tile, interpolation="nearest")
            true = int(shown["pair"][rows[i]])
            for j, (value, pair) in enumerate(zip(probabilities[i].tolist(), places[i].tolist(), strict=True)):
                right = pair == true
                bars.barh(j, value, height=0.85, color=RIGHT if right else RULE, alpha=0.4 if right else 1)
                bars.text(0.03, j, names[pair], va="center", fontsize=7.5, weight="bold" if right else "normal")
            bars.set(xlim=(0, 1), ylim=(4.6, -0.6))
    return drawing


def text_to_image(shown: dict[str, Tensor], captions: list[str], most: int = 6, nearest: int = 7) -> Figure:
    """Captions, and the images that suit each best; framed where the image was described in the same words.

    Args:
        shown: of N test images `image` (N, C, H, W), and `image_vector` and `text_vector` (N, D).
        captions: their captions.
        most: captions.
        nearest: images for each.
    """
    rows = _varied(captions, most)
    places = (shown["text_vector"][rows] @ shown["image_vector"].T).topk(nearest).indices.cpu()
    with figure(len(rows), nearest, width=1.2, height=1.4) as (drawing, axes):
        layout: Any = drawing.get_layout_engine()
        layout.set(h_pad=0.12)
        title = f"Captions, and the nearest of {len(captions)} test images; framed: those with this caption"
        heading(drawing, title)
        for i, row in enumerate(rows):
            tiles = rgb(shown["image"][places[i]])
            above = {"transform": axes[i, 0].transAxes, "in_layout": False}  # else the column would become as wide
            axes[i, 0].text(0, 1.05, captions[row], fontsize=9, **above)
            for place, tile, found in zip(axes[i], tiles, places[i].tolist(), strict=True):
                place.imshow(tile, interpolation="nearest")
                _framed(place, captions[found] == captions[row])
    return drawing


def image_to_text(shown: dict[str, Tensor], captions: list[str], most: int = 8, nearest: int = 4) -> Figure:
    """Images, and the captions that suit each best; the image's own is bold.

    Args:
        shown: of N test images `image` (N, C, H, W), and `image_vector` and `text_vector` (N, D).
        captions: their captions.
        most: images.
        nearest: captions for each.
    """
    rows = _varied(captions, most)
    different = _different(captions)
    places = (shown["image_vector"][rows] @ shown["text_vector"][different].T).topk(nearest).indices.tolist()
    with figure(-(-len(rows) // 2), 2, width=5.2, height=1.25) as (drawing, axes):
        title = f"Images, and the nearest of {len(different)} captions; bold: their own"
        heading(drawing, title)
        for place, row, tile, found in zip(axes.flat, rows, rgb(shown["image"][rows]), places, strict=False):
            place.imshow(tile, extent=(0, 1, 1, 0), interpolation="nearest")
            for j, caption in enumerate(captions[different[k]] for k in found):
                own = caption == captions[row]
                weight, color = ("bold", RIGHT) if own else ("normal", INK)
                place.text(1.08, (j + 0.5) / nearest, caption, va="center", fontsize=8, weight=weight, color=color)
            place.set(xlim=(0, 4.2), ylim=(1, 0))
            place.set_axis_off()
    return drawing


def _different(captions: list[str]) -> list[int]:
    """The first position of each caption."""
    return [i for i, caption in enumerate(captions) if caption not in captions[:i]]


def _varied(captions: list[str], most: int) -> list[int]:
    """Places of short and of long captions, by turns."""
    different = _different(captions)
    by_length: dict[int, list[int]] = {}
    for i in different:
        by_length.setdefault(len(captions[i].split()), []).append(i)
    turns = [i for lined in zip(*(places for _, places in sorted(by_length.items())), strict=False) for i in lined]
    return turns[:most] or different[:most]


def _framed(axes: Any, right: bool) -> None:
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(right)
    axes.spines[:].set(color=RIGHT, linewidth=3)
