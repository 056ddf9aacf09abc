"""A small U-Net that says how much noise is in images.

Sources: Ronneberger, Fischer and Brox, U-Net, MICCAI 2015; Ho, Jain and Abbeel, NeurIPS 2020, with residual blocks,
group normalisation and a time that enters each block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 8  # of the normalisation


class UNet(nn.Module):
    """Noisy images (B, channels, H, W) and times (B,) -> their noise, of the same shape.

    Args:
        channels: of an image.
        widths: feature maps at each resolution, which halves from one to the next; multiples of 8.
        patch: pixels along each side that enter as one place; the sides of an image are multiples of it and of the
            halvings.
        context: what is known of an image (B, ...) -> vectors (B, `context_width(widths)`).
    """

    def __init__(self, channels: int, widths: Sequence[int], patch: int = 1, context: nn.Module | None = None) -> None:
        super().__init__()
        first, last, wide = widths[0], widths[-1], context_width(widths)
        self.patch, self.context, self.wide = patch, context, wide
        self.time = nn.Sequential(nn.Linear(first, wide), nn.SiLU(), nn.Linear(wide, wide))
        self.stem = nn.Conv2d(channels * patch**2, first, 3, padding=1)
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(Block(n, n, wide) for n in widths[:-1])
        self.shrink = nn.ModuleList(nn.Conv2d(n, more, 3, 2, 1) for n, more in pairs)
        self.middle = nn.ModuleList([Block(last, last, wide), Block(last, last, wide)])
        self.up = nn.ModuleList(Block(n + more, n, wide) for n, more in reversed(pairs))
        self.end = nn.Sequential(
            nn.GroupNorm(GROUPS, first), nn.SiLU(), nn.Conv2d(first, channels * patch**2, 3, padding=1)
        )
        nn.init.zeros_(self.end[-1].weight)  # type: ignore[arg-type] # as in the source

    def forward(
        self, images: Tensor, times: Tensor, condition: Tensor | None = None, known: Tensor | None = None
    ) -> Tensor:
        """
        Args:
            images: (B, channels, H, W).
            times: (B,), whole numbers.
            condition: (B, ...), for `context`.
            known: (B,), False where the network does not see the condition.
        """
        vectors = self.time(wave(times, self.time[0].in_features).to(images.dtype))  # type: ignore[arg-type]
        if self.context is not None and condition is not None:
            seen = self.context(condition)
            vectors = vectors + (seen if known is None else seen * known.unsqueeze(1))
        maps, passed = self.stem(F.pixel_unshuffle(images, self.patch)), []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            maps = block(maps, vectors)
            passed.append(maps)
            maps = shrink(maps)
        for block in self.middle:
            maps = block(maps, vectors)
        for block in self.up:
            beside = passed.pop()
            maps = block(torch.cat([F.interpolate(maps, scale_factor=2.0), beside], 1), vectors)
        return F.pixel_shuffle(self.end(maps), self.patch)


class Block(nn.Module):
    """Maps (B, n_in, H, W) and vectors (B, wide) -> (B, n_out, H, W): two convolutions and a way past them."""

    def __init__(self, n_in: int, n_out: int, wide: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(GROUPS, n_in), nn.SiLU(), nn.Conv2d(n_in, n_out, 3, padding=1))
        self.vectors = nn.Sequential(nn.SiLU(), nn.Linear(wide, 2 * n_out))
        self.norm = nn.GroupNorm(GROUPS, n_out)
        self.second = nn.Sequential(nn.SiLU(), nn.Conv2d(n_out, n_out, 3, padding=1))
        self.past = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()

    def forward(self, maps: Tensor, vectors: Tensor) -> Tensor:
        scale, shift = self.vectors(vectors)[:, :, None, None].chunk(2, 1)
        inner = self.norm(self.first(maps)) * (1 + scale) + shift
        result: Tensor = self.second(inner) + self.past(maps)
        return result


def context_width(widths: Sequence[int]) -> int:
    """Length of the vectors of time and condition."""
    return 4 * widths[0]


def wave(times: Tensor, width: int) -> Tensor:
    """Sines and cosines (B, width) of times (B,), of wavelengths from 2 pi to 20000 pi."""
    frequencies = torch.exp(torch.arange(width // 2, device=times.device) * (-math.log(10_000) / (width // 2)))
    angles = times.unsqueeze(1) * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)
