"""A set of images in memory, and what the generators of such sets share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

UNLABELLED = 255  # a pixel of a mask that belongs to no class
CHUNK = 52  # images drawn together, from a generator of their own: few enough for the caches, 2 of each letter


@dataclass(frozen=True)
class Images:
    """N images and what is known about each; masks, points and boxes are in pixels of the image, x before y.

    Args:
        images: (N, C, H, W) uint8.
        targets: tensors with N rows, by name: `label` (N,) int64; `mask` (N, H, W) uint8, `UNLABELLED` for no class;
            `points` (N, P, 2) float32, NaN where unknown; `boxes` (N, K, 5) float32 as class, left, top, right, bottom,
            NaN where there are fewer; `caption` (N, T) int64, places in the list of words.
    """

    images: Tensor
    targets: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor | slice) -> Images:
        return Images(self.images[rows], {name: target[rows] for name, target in self.targets.items()})

    def to(self, device: torch.device) -> Images:
        return Images(self.images.to(device), {name: target.to(device) for name, target in self.targets.items()})


def resized(images: Images, size: int) -> Images:
    """The same images, `size` x `size`; they have no target that knows places in them."""
    made = F.interpolate(images.images.float(), size=(size, size), mode="bilinear", antialias=True)
    return replace(images, images=made.round_().to(torch.uint8))


def drawn(chunk: Callable[[torch.Generator], Images], count: int, *stream: int) -> Images:
    """The first `count` images of an endless sequence: the same ones, however many are asked for.

    Args:
        chunk: draws the next `CHUNK` images.
        count: how many.
        stream: numbers that tell one sequence from another, such as a seed.
    """
    seeds = (mixed(*stream, i) for i in range(-(-count // CHUNK)))
    chunks = [chunk(torch.Generator().manual_seed(seed)) for seed in seeds]
    whole = Images(
        torch.cat([each.images for each in chunks]),
        {name: torch.cat([each.targets[name] for each in chunks]) for name in chunks[0].targets},
    )
    return whole[:count]


def mixed(*numbers: int) -> int:
    """One seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def uniform(random: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Numbers between `low` and `high`."""
    return torch.rand(*shape, generator=random) * (high - low) + low


def smooth(random: torch.Generator, maps: int, channels: int, knots: int, size: int) -> Tensor:
    """Soft noise of mean 0 and standard deviation about 1 at its knots: (maps, channels, size, size)."""
    coarse = torch.randn(maps, channels, knots, knots, generator=random)
    return F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)


def pixels(size: int) -> tuple[Tensor, Tensor]:
    """The x and y of every pixel's centre, from -1 to 1 across the image, each (size, size)."""
    line = (torch.arange(size) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return x, y


def as_bytes(values: Tensor) -> Tensor:
    """0..1 -> 0..255."""
    return values.clamp(0, 1).mul_(255).round_().to(torch.uint8)
