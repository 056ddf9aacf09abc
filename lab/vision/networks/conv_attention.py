"""Attention for convolutions: blocks that scale feature maps by channel and by position, and a CNN with one after each
convolution."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from lab.networks import MLP

REDUCTION = 8  # channels per unit of the bottleneck; both papers use 16, for networks many times wider
Width = Annotated[int, Ge(REDUCTION)]  # filters of the first convolution


class SE(nn.Module):
    """Squeeze and excitation: maps (B, C, H, W) -> the same, each channel scaled by a function of all channels' means.

    Source: Hu, Shen and Sun, Squeeze-and-Excitation Networks, CVPR 2018.

    Args:
        channels: maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // REDUCTION)
        self.excite = nn.Linear(channels // REDUCTION, channels)

    def forward(self, maps: Tensor) -> Tensor:
        mean = maps.mean((2, 3))  # (B, C)
        scale = self.excite(F.relu(self.squeeze(mean))).sigmoid()
        scaled: Tensor = maps * scale[:, :, None, None]
        return scaled


class CBAM(nn.Module):
    """Convolutional block attention: first the channels are weighed, by mean and by maximum, then the positions.

    Source: Woo, Park, Lee and Kweon, CBAM: Convolutional Block Attention Module, ECCV 2018.

    Args:
        channels: maps.
        kernel: side of the neighbourhood that decides about a position.
    """

    def __init__(self, channels: int, kernel: int = 7) -> None:
        super().__init__()
        self.shared = MLP(channels, [channels // REDUCTION], channels)
        self.spatial = nn.Conv2d(2, 1, kernel, padding=kernel // 2)

    def forward(self, maps: Tensor) -> Tensor:
        channel = (self.shared(maps.mean((2, 3))) + self.shared(maps.amax((2, 3)))).sigmoid()  # (B, C)
        maps = maps * channel[:, :, None, None]
        pooled = torch.stack([maps.mean(1), maps.amax(1)], 1)  # (B, 2, H, W)
        scaled: Tensor = maps * self.spatial(pooled).sigmoid()
        return scaled


def plain_cnn(channels: int, size: int, classes: int, width: Width = 32) -> nn.Module:  # noqa: ARG001 - of any size
    """Three convolutions without attention."""
    return _trunk(channels, classes, width, None)


def se_cnn(channels: int, size: int, classes: int, width: Width = 32) -> nn.Module:  # noqa: ARG001
    """Three convolutions with SE blocks."""
    return _trunk(channels, classes, width, SE)


def cbam_cnn(channels: int, size: int, classes: int, width: Width = 32) -> nn.Module:  # noqa: ARG001
    """Three convolutions with CBAM blocks."""
    return _trunk(channels, classes, width, CBAM)


def _trunk(channels: int, classes: int, width: int, block: type[SE] | type[CBAM] | None) -> nn.Module:
    """Convolutions of `width` filters, twice and four times as many, each normalised, attended to and pooled; the mean
    of the last; logits."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([channels, width, 2 * width, 4 * width]):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
        layers += [*([block(n_out)] if block else []), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes))
