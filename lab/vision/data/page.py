"""An overview of a set on one page: samples, counts, mean images, and a map on which alike images lie together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lab.data import Table
from lab.plots import COLORS, figure
from lab.vision.data.image_dataset import ImageDataset
from lab.vision.plots.neighbours import MAPPED, neighbours
from lab.vision.plots.tiles import bare, montage, outlined, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS, COLUMNS = 6, 10  # of samples


def page(of: ImageDataset, images: Table, title: str) -> Figure:
    """The whole page, with its title."""
    with figure(2, 2, width=7.5, height=5.0) as (drawing, axes):
        drawing.suptitle(title)
        samples(axes[0, 0], images, of)
        bars(axes[0, 1], of.counts(images), "label" in images)
        means(axes[1, 0], images, of)
        mapped(axes[1, 1], images, of)
    return drawing


def samples(axes: Any, images: Table, of: ImageDataset) -> None:
    """The first images, with the outlines of their masks, their key points, and boxes."""
    some = images[: ROWS * COLUMNS]
    tiles = rgb(some["image"].float() / 255)  # (N, H, W, 3)
    height, width = tiles.shape[1:3]
    if "mask" in some:
        tiles = outlined(tiles, some["mask"].numpy())
    axes.imshow(montage(tiles, COLUMNS), interpolation="nearest")
    for i in range(len(some)):
        left, top = (i % COLUMNS) * (width + 1), (i // COLUMNS) * (height + 1)
        if "points" in some:
            x, y = some["points"][i].numpy().T
            axes.scatter(left + x - 0.5, top + y - 0.5, s=3, color=COLORS[1], linewidth=0)
        if "boxes" in some:
            from matplotlib.patches import Rectangle

            for _, x0, y0, x1, y1 in some["boxes"][i].tolist():
                corner = (left + x0 - 0.5, top + y0 - 0.5)
                axes.add_patch(Rectangle(corner, x1 - x0, y1 - y0, fill=False, edgecolor="white", linewidth=0.6))
    bare(axes, "samples")
    if "caption" in some:
        axes.set_xlabel(f"the first one: {caption(some['caption'][0], of.words)}")


def bars(axes: Any, found: dict[str, int], labelled: bool) -> None:
    """Counts by name; many names are numbered instead."""
    values, names = list(found.values()), list(found)
    title = "images of each class" if labelled else "images in which it occurs"
    if len(names) <= 40 and max(map(len, names)) > 2:
        axes.barh(names, values, color=COLORS[0])
        axes.invert_yaxis()
        axes.tick_params(axis="y", labelsize=min(9.0, 230 / len(names)))
        axes.grid(axis="y", visible=False)
        axes.set(title=title, xlabel="images")
    else:
        few = len(names) <= 40
        axes.bar(names if few else range(len(names)), values, color=COLORS[0], width=0.8)
        axes.grid(axis="x", visible=False)
        axes.set(title=title, xlabel="" if few else "number of the class", ylabel="images")


def means(axes: Any, images: Table, of: ImageDataset) -> None:
    """The mean image of each class, or of all where there are none."""
    if "label" in images:
        labels = images["label"]
        rows = [images["image"][labels == i] for i in range(len(of.classes))]
        pictures = torch.stack([row.float().mean(0) if len(row) else torch.zeros(row.shape[1:]) for row in rows])
        title = "mean image of each class"
    else:
        pictures, title = images["image"].float().mean(0, keepdim=True), "mean image"
    columns = int(np.ceil(np.sqrt(len(pictures) * 1.5))) if len(pictures) > 1 else 1
    axes.imshow(montage(rgb(pictures / 255), columns), interpolation="nearest")
    bare(axes, title)


def mapped(axes: Any, images: Table, of: ImageDataset) -> None:
    """t-SNE of the pixels, coloured by class; images lie there without labels."""
    some = images[:MAPPED]
    pixels = F.adaptive_avg_pool2d(some["image"].float() / 255, min(32, images["image"].shape[-1])).flatten(1).numpy()
    labels = some["label"].numpy() if "label" in some else None
    neighbours(axes, pixels, labels, of.classes, "the pixels")


def caption(words: Tensor, known: tuple[str, ...]) -> str:
    """The words at these places (T,)."""
    return " ".join(known[i] for i in words.tolist() if i)
