"""Means of losses of which some do not count."""

from __future__ import annotations

from torch import Tensor


def mean_of_known(losses: Tensor, known: Tensor) -> Tensor:
    """The mean of the losses that count, ().

    The mean that torch's own losses take over several dimensions has no deterministic kernel on a GPU.

    >>> import torch
    >>> mean_of_known(torch.tensor([1.0, 3.0, 0.0]), torch.tensor([True, True, False]))
    tensor(2.)

    Args:
        losses: (...), 0 where they do not count.
        known: (...), whether they do; somewhere they have to.
    """
    return losses.sum() / known.sum()
