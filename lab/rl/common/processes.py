"""Agents that learn in several processes: each collects for itself, and gradients and statistics are averaged."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lab.errors import LabError


def explore_apart(agent: nn.Module, rank: int, own: Collection[str]) -> None:
    """Gives this process random numbers of its own.

    Args:
        agent: what collects.
        rank: the number of this process, from 0.
        own: names of its buffers that each process has for itself; others are taken from the first process.
    """
    torch.manual_seed(torch.initial_seed() + rank)
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(agent, list(own))


def check_processes(then: int, now: int) -> None:
    """Refuses to resume with another number of processes: each has environments of its own.

    Raises:
        LabError: the numbers differ.
    """
    if then != now:
        raise LabError(f"{then} processes trained this run; resume with as many, not {now}")


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a tensor over all processes; of one process it is the tensor itself."""
    if not torch.distributed.is_initialized():
        return values
    values = values.clone()
    torch.distributed.all_reduce(values)
    return values / torch.distributed.get_world_size()


def average(gradients: Sequence[Sequence[Tensor]]) -> None:
    """Averages gradients over all processes, in place, as one message."""
    flat = mean_over_processes(torch.cat([gradient.flatten() for group in gradients for gradient in group]))
    for gradient in (gradient for group in gradients for gradient in group):
        gradient.copy_(flat[: gradient.numel()].view_as(gradient))
        flat = flat[gradient.numel() :]
