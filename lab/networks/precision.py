"""Outputs of networks in at least single precision, whatever the precision of the training."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

_HALF = (torch.bfloat16, torch.float16)


def upcast(values: Tensor) -> Tensor:
    """Half precision becomes single, for a loss or a plot; single and double precision stay as they are.

    >>> upcast(torch.ones(2, dtype=torch.bfloat16)).dtype, upcast(torch.ones(2, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)

    Args:
        values: of any shape, which the result has too.
    """
    return values.float() if values.dtype in _HALF else values


def without_autocast(device: torch.device) -> AbstractContextManager[None]:
    """Operations within it take the precision of their inputs, also in a training with mixed precision.

    >>> with torch.autocast("cpu", torch.bfloat16), without_autocast(torch.device("cpu")):
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.float32

    Args:
        device: of the inputs.
    """
    return torch.autocast(device.type, enabled=False) if torch.is_autocast_enabled(device.type) else nullcontext()


def output_linear(features: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear` in the precision of its weights, also in a training with mixed precision.

    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     output_linear(torch.ones(8, 4, dtype=torch.bfloat16), torch.ones(2, 4)).dtype
    torch.float32

    Args:
        features: (..., in_features).
        weight: (out_features, in_features).
        bias: (out_features,).
    """
    with without_autocast(features.device):
        return functional.linear(features.to(weight.dtype), weight, bias)


class OutputLinear(nn.Linear):
    """A linear layer that computes `output_linear`: for outputs.

    Numbers of bfloat16 between 512 and 1,024 are multiples of 4, so that returns would differ by more than rewards do.

    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     OutputLinear(4, 2)(torch.zeros(8, 4)).dtype, nn.Linear(4, 2)(torch.zeros(8, 4)).dtype
    (torch.float32, torch.bfloat16)
    """

    def forward(self, input: Tensor) -> Tensor:
        return output_linear(input, self.weight, self.bias)
