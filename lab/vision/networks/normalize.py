"""The first layer of a network: checks the shape of the images, and normalises their pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lab.errors import BadInput


class Normalize(nn.Module):
    """Images (B, channels, size, size), from 0 to 1 -> the same with mean 0 and standard deviation 1 in each channel.

    Args:
        channels: of an image.
        size: height and width of an image.
        mean: of the pixels, for each channel.
        std: standard deviation of the pixels, for each channel.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, channels: int, size: int, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.shape = torch.Size((channels, size, size))
        deviation = torch.tensor(std).view(-1, 1, 1)
        self.register_buffer("scale", 1 / deviation, persistent=False)  # facts of the data, which are hyperparameters
        self.register_buffer("shift", -torch.tensor(mean).view(-1, 1, 1) / deviation, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[1:] != self.shape:
            expected, found = (" x ".join(map(str, shape)) for shape in (self.shape, images.shape[1:]))
            raise BadInput(f"this network takes images of {expected}, found {found}")
        return (images * self.scale).add_(self.shift)  # addcmul takes four times as long on a CPU
