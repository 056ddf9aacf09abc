"""Helpers of the generators of images: an endless sequence in chunks, and random numbers of some shapes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from lab.data import Table, concat, seed_from

CHUNK = 52  # images generated together, from a generator of their own: few enough for the caches, 2 of each letter


def generate(chunk: Callable[[torch.Generator], Table], count: int, *stream: int) -> Table:
    """The first `count` images of an endless sequence: the same ones, however many are asked for.

    Args:
        chunk: makes the next `CHUNK` images.
        count: how many.
        stream: numbers that tell one sequence from another, such as a seed.
    """
    seeds = (seed_from(*stream, i) for i in range(-(-count // CHUNK)))
    return concat(chunk(torch.Generator().manual_seed(seed)) for seed in seeds)[:count]


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
