"""What a set looks like, on one page: samples, counts, mean images, and a map on which alike images lie together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lab.plots import COLORS, INK, figure
from lab.vision.data.images import Images
from lab.vision.data.real.decode import UNLABELLED
from lab.vision.data.sets import ImageSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS, COLUMNS = 6, 10  # of samples
MAPPED = 1_500  # images on the map: enough for its shape, and a matter of seconds


def counts(images: Images, of: ImageSet) -> dict[str, int]:
    """How many images there are of each class, with each class in their mask, or with each key point."""
    if "label" in images.targets:
        found = images.targets["label"].bincount(minlength=len(of.classes))
        return dict(zip(of.classes, found.tolist(), strict=True))
    if "mask" in images.targets:
        masks = images.targets["mask"].flatten(1)
        return {name: int((masks == i).any(1).sum()) for i, name in enumerate(of.mask_classes)}
    known = (~images.targets["points"].isnan()).all(-1).sum(0)
    return dict(zip(of.points, known.tolist(), strict=True))


def page(images: Images, of: ImageSet, what: str) -> Figure:
    """The whole page; `what` is its title."""
    with figure(2, 2, width=7.5, height=5.0) as (drawing, axes):
        drawing.suptitle(what)
        samples(axes[0, 0], images, of)
        bars(axes[0, 1], counts(images, of), "label" in images.targets)
        means(axes[1, 0], images, of)
        neighbours(axes[1, 1], images, of)
    return drawing


def samples(axes: Any, images: Images, of: ImageSet) -> None:
    """The first images, with the outlines of their masks, their key points, and boxes."""
    some = images[: ROWS * COLUMNS]
    tiles = shown(some.images)  # (N, H, W, 3)
    height, width = tiles.shape[1:3]
    if "mask" in some.targets:
        masks = some.targets["mask"].numpy()
        tint = np.array([[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in COLORS])
        marked = (masks > 0) & (masks != UNLABELLED)
        inner = np.pad(masks, ((0, 0), (1, 1), (1, 1)), mode="edge")
        beside = (inner[:, :-2, 1:-1], inner[:, 2:, 1:-1], inner[:, 1:-1, :-2], inner[:, 1:-1, 2:])
        edge = marked & np.any([masks != other for other in beside], axis=0)
        tiles = np.where(edge[..., None], tint[(masks.astype(int) - 1) % len(COLORS)], tiles)
    axes.imshow(montage(tiles, COLUMNS), interpolation="nearest")
    for i in range(len(some)):
        left, top = (i % COLUMNS) * (width + 1), (i // COLUMNS) * (height + 1)
        if "points" in some.targets:
            x, y = some.targets["points"][i].numpy().T
            axes.scatter(left + x - 0.5, top + y - 0.5, s=3, color=COLORS[6], linewidth=0)
        if "boxes" in some.targets:
            from matplotlib.patches import Rectangle

            for _, x0, y0, x1, y1 in some.targets["boxes"][i].tolist():
                corner = (left + x0 - 0.5, top + y0 - 0.5)
                axes.add_patch(Rectangle(corner, x1 - x0, y1 - y0, fill=False, edgecolor="white", linewidth=0.6))
    _bare(axes, "samples")
    if "caption" in some.targets:
        axes.set_xlabel(f"the first one: {caption(some.targets['caption'][0], of.words)}")


def bars(axes: Any, found: dict[str, int], labelled: bool) -> None:
    """Counts by name; many names are numbered instead."""
    values, names = list(found.values()), list(found)
    title = "images of each class" if labelled else "images in which it occurs"
    if len(names) <= 40 and max(map(len, names)) > 2:
        axes.barh(names, values, color=COLORS[0])
        axes.invert_yaxis()
        axes.tick_params(axis="y", labelsize=min(9.0, 230 / len(names)))
        axes.grid(axis="y", visible=False)
        axes.set(title=title)
    else:
        few = len(names) <= 40
        axes.bar(names if few else range(len(names)), values, color=COLORS[0], width=0.8)
        axes.grid(axis="x", visible=False)
        axes.set(title=title, xlabel="" if few else "number of the class")


def means(axes: Any, images: Images, of: ImageSet) -> None:
    """The mean image of each class, or of all where there are none."""
    if "label" in images.targets:
        labels = images.targets["label"]
        rows = [images.images[labels == i] for i in range(len(of.classes))]
        pictures = torch.stack([row.float().mean(0) if len(row) else torch.zeros(row.shape[1:]) for row in rows])
        title = "mean image of each class"
    else:
        pictures, title = images.images.float().mean(0, keepdim=True), "mean image"
    columns = int(np.ceil(np.sqrt(len(pictures) * 1.5))) if len(pictures) > 1 else 1
    axes.imshow(montage(shown(pictures), columns), interpolation="nearest")
    _bare(axes, title)


def neighbours(axes: Any, images: Images, of: ImageSet) -> None:
    """t-SNE of the pixels, coloured by class; images lie there without labels."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    some = images[:MAPPED]
    pixels = F.adaptive_avg_pool2d(some.images.float() / 255, min(32, images.images.shape[-1])).flatten(1).numpy()
    if len(pixels) < 5:
        _bare(axes, "too few images for a map")
        return
    least = min(50, *pixels.shape)
    codes = PCA(least, random_state=0).fit_transform(pixels)
    places = TSNE(perplexity=min(30, (len(codes) - 1) / 3), init="pca", random_state=0).fit_transform(codes)
    labels = some.targets["label"].numpy() if "label" in some.targets else np.zeros(len(places), dtype=int)
    shades = colours(len(of.classes))
    axes.scatter(*places.T, s=6, c=shades[labels], linewidth=0, alpha=0.8)
    if max(map(len, of.classes), default=9) <= 2:
        from matplotlib.patheffects import withStroke

        halo = [withStroke(linewidth=2.5, foreground="white")]
        for i in np.unique(labels):
            place = np.median(places[labels == i], axis=0)
            axes.text(*place, of.classes[i], ha="center", va="center", weight="bold", color=INK, path_effects=halo)
    elif 1 < len(of.classes) <= 20:
        handles = [
            axes.scatter([], [], color=shade, label=name) for name, shade in zip(of.classes, shades, strict=False)
        ]
        axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5))
    _bare(axes, f"t-SNE of the pixels of {len(places):,} images")


def caption(words: Tensor, known: tuple[str, ...]) -> str:
    """The words at these places (T,)."""
    return " ".join(known[i] for i in words.tolist() if i)


def colours(count: int) -> NDArray[np.float64]:
    """A colour for each of so many classes, (count, 3), and at least one."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    if count <= len(COLORS):
        return np.array([to_rgb(color) for color in COLORS])
    found: NDArray[np.float64] = colormaps["turbo"](np.linspace(0.02, 0.98, count))[:, :3]
    return found


def shown(images: Tensor) -> NDArray[np.float32]:
    """Images (N, C, H, W) from 0 to 255 as pictures (N, H, W, 3) from 0 to 1."""
    found: NDArray[np.float32] = (images.float() / 255).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
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


def _bare(axes: Any, title: str) -> None:
    axes.set(title=title, xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
