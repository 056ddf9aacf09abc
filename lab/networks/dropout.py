"""Dropout that is quick on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 2**16  # of 16 random bits
PER_NUMBER = 4  # groups of 16 bits in a random whole number


class Dropout(nn.Module):
    """As `nn.Dropout`. On a CPU 16 random bits decide on each value, where torch takes a random number for each.

    >>> dropped = Dropout(0.5)(torch.ones(1000))
    >>> sorted(set(dropped.tolist()))
    [0.0, 2.0]

    Args:
        p: share that is dropped in training, from 0 to less than 1; on a CPU rounded to a multiple of 1 / 65,536.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return F.dropout(x, self.p, self.training)
        dropped = min(round(self.p * LEVELS), LEVELS - 1)
        if not self.training or not dropped:
            return x
        numbers = torch.empty(-(-x.numel() // PER_NUMBER), dtype=torch.int64)
        bits = numbers.random_(-(2**63), None).view(torch.int16)[: x.numel()].view(x.shape)
        keep = (bits >= dropped - LEVELS // 2).to(x.dtype)
        return x * keep.mul_(LEVELS / (LEVELS - dropped))
