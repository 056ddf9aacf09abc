"""Normalisation layers by name, for features in the last dimension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import nn

from lab.errors import unknown_name

Norm = Literal["none", "batch", "layer", "rms"]
NORMS: dict[Norm, Callable[[int], nn.Module]] = {
    "none": lambda _: nn.Identity(),
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
    "rms": nn.RMSNorm,
}
SYNONYMS = {"identity": "none", "batch_norm": "batch", "layer_norm": "layer", "rms_norm": "rms"}  # for the hint


def make_norm(name: Norm, features: int) -> nn.Module:
    """The normalisation of that name: (B, features) -> (B, features); all but `batch` take (..., features).

    >>> make_norm("layer", 2)(torch.tensor([[1.0, 3.0]])).round().tolist()
    [[-1.0, 1.0]]

    Args:
        name: `batch` over the samples of a batch, `layer` and `rms` over the features of each sample, or `none`.
        features: size of the last dimension.

    Raises:
        BadSetting: there is none of that name.
    """
    if name not in NORMS:
        raise unknown_name("norm", name, NORMS, SYNONYMS)
    return NORMS[name](features)
