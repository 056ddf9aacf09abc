"""Outputs of networks in at least single precision, whatever the precision of the training."""

from __future__ import annotations

import torch
from torch import Tensor

_HALF = (torch.bfloat16, torch.float16)


def upcast(values: Tensor) -> Tensor:
    """Half precision becomes single, for a loss or a plot; single and double precision stay as they are.

    >>> upcast(torch.ones(2, dtype=torch.bfloat16)).dtype, upcast(torch.ones(2, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)

    Args:
        values: of any shape, which the result has too.
    """
    return values.float() if values.dtype in _HALF else values
