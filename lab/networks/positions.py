"""Position encodings of sequences."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lab.errors import BadInput


class LearnedPositions(nn.Module):
    """Sequences (B, T, width) -> the same plus a learned vector for each position.

    >>> LearnedPositions(32, 8)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 8])

    Args:
        max_length: positions that there are; longer sequences raise BadInput.
        width: of the vectors.
        std: standard deviation of the first ones. 1 makes a position as visible as a token of the same size, 0.02 is
            common in long trainings.
    """

    def __init__(self, max_length: int, width: int, std: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(std * torch.randn(max_length, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + _first(self.weight, x.shape[1])


class SinusoidalPositions(nn.Module):
    """Sequences (B, T, width) -> the same plus sines and cosines of the position, of wavelengths from 2 pi to 20000 pi.

    Source: Vaswani et al., Attention is all you need, NeurIPS 2017, section 3.5.

    >>> SinusoidalPositions(32, 4)(torch.zeros(1, 2, 4))[0, 0].tolist()
    [0.0, 1.0, 0.0, 1.0]

    Args:
        max_length: positions that there are; longer sequences raise BadInput.
        width: of the vectors, an even number.
    """

    table: Tensor

    def __init__(self, max_length: int, width: int) -> None:
        super().__init__()
        frequencies = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
        angles = torch.arange(max_length).unsqueeze(1) * frequencies  # (max_length, width / 2)
        table = torch.stack([angles.sin(), angles.cos()], 2).flatten(1)  # sine, cosine, sine, cosine, ...
        self.register_buffer("table", table, persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Of the positions from `start` on."""
        return x + _first(self.table, start + x.shape[1])[start:]


def _first(table: Tensor, length: int) -> Tensor:
    if length > len(table):
        raise BadInput(f"this network takes sequences of at most {len(table)} steps, found {length}")
    return table[:length]
