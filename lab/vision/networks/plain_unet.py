"""The U-Net of its paper at any depth, for small images: its maps double and halve, and nothing is pretrained.

Source: Ronneberger, Fischer and Brox, U-Net: Convolutional networks for biomedical image segmentation, MICCAI 2015.
Here convolutions keep the size of their maps, as images are small, and batches are normalised.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

WIDTH = 64  # maps at full size, which double with every halving of the sides


class PlainUNetEncoder(nn.Module):
    """Images (B, channels, H, W) -> maps at every size from the full one, the last (B, 64 * 2^depth, H / 2^depth, ...).

    >>> [maps.shape[1:] for maps in PlainUNetEncoder(3, depth=1)(torch.zeros(2, 3, 8, 8))]
    [torch.Size([64, 8, 8]), torch.Size([128, 4, 4])]
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.widths = [WIDTH * 2**i for i in range(depth + 1)]
        self.blocks = nn.ModuleList(convolutions(n_in, n_out) for n_in, n_out in pairwise([channels, *self.widths]))
        self.pool = nn.MaxPool2d(2)

    def forward(self, images: Tensor) -> list[Tensor]:
        found = [self.blocks[0](images)]
        for block in self.blocks[1:]:
            found.append(block(self.pool(found[-1])))
        return found


class PlainUNetDecoder(nn.Module):
    """The maps of the encoder -> (B, 64, H, W): doubled in size and beside those of the same size, step by step."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        steps = [(n_in, n_out) for n_out, n_in in pairwise(widths)][::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(n_in, n_out, 2, 2) for n_in, n_out in steps)
        self.blocks = nn.ModuleList(convolutions(2 * n_out, n_out) for _, n_out in steps)

    def forward(self, maps: list[Tensor]) -> Tensor:
        *beside, last = maps
        for up, block, other in zip(self.up, self.blocks, reversed(beside), strict=True):
            last = block(torch.cat([other, up(last)], 1))
        return last


def convolutions(n_in: int, n_out: int) -> nn.Sequential:
    """Maps (B, n_in, H, W) -> (B, n_out, H, W): two 3x3 convolutions, each normalised and with ReLU."""
    layers: list[nn.Module] = []
    for before in (n_in, n_out):
        layers += [nn.Conv2d(before, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
    return nn.Sequential(*layers)
