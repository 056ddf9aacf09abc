"""Rollouts cut into sequences, for networks with a memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Sequences(NamedTuple):
    """The places of a rollout's sequences among its steps, environment after environment.

    >>> Sequences(first=torch.tensor([0]), places=torch.tensor([[0, 1]]), mask=torch.tensor([[True, False]])).first
    tensor([0])

    Args:
        first: the first step of each sequence, (S,).
        places: its steps, (S, L).
        mask: whether there is such a step, or padding, (S, L).
    """

    first: Tensor
    places: Tensor
    mask: Tensor


def sequences(is_init: Tensor, length: int) -> Sequences:
    """Cuts steps (T, N) where episodes begin and after `length` steps at most.

    >>> is_init = torch.tensor([[True], [False], [True], [False], [False]])
    >>> sequences(is_init, length=2).places.tolist()
    [[0, 1], [2, 3], [4, 4]]
    """
    steps, num_envs = is_init.shape
    begins = is_init.clone()
    begins[::length] = True
    first = begins.T.flatten().nonzero().squeeze(-1)
    counts = torch.diff(first, append=first.new_tensor([steps * num_envs]))
    offset = torch.arange(length, device=first.device)
    mask = offset < counts.unsqueeze(-1)
    return Sequences(first, torch.where(mask, first.unsqueeze(-1) + offset, first.unsqueeze(-1)), mask)
