"""The precision in which a network computes faster on this machine, by a measurement of a second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

SINGLE, MIXED = "32-true", "bf16-mixed"
WORTH = 1.15  # times as fast: below that the choice could change from one measurement to the next


class MeasuredPrecision(NamedTuple):
    """What was measured.

    Args:
        precision: `bf16-mixed` if it is at least 1.15 times as fast, else `32-true`.
        speed: how many times as fast `bf16-mixed` is as `32-true`.
    """

    precision: str
    speed: float


def faster_precision(
    forward: Callable[[], Any], parameters: Sequence[nn.Parameter], device: torch.device, seconds: float = 1.0
) -> MeasuredPrecision:
    """Computes outputs and gradients in single and in mixed precision, in turns, and compares the medians.

    >>> layer = nn.Linear(8, 8)
    >>> found = faster_precision(
    ...     lambda: layer(torch.ones(4, 8)), [*layer.parameters()], torch.device("cpu"), seconds=0.01
    ... )
    >>> found.precision in ("32-true", "bf16-mixed")
    True

    Args:
        forward: computes the outputs of a batch.
        parameters: those that have a gradient.
        device: where they lie.
        seconds: how long it measures, if a turn of both is not longer than that.
    """
    taken: dict[str, list[float]] = {SINGLE: [], MIXED: []}
    for precision in taken:  # first calls take longer
        _pass(forward, parameters, device, precision)
    end = time.perf_counter() + seconds
    while not taken[MIXED] or time.perf_counter() < end:
        for precision, times in taken.items():
            start = time.perf_counter()
            _pass(forward, parameters, device, precision)
            times.append(time.perf_counter() - start)
    speed = statistics.median(taken[SINGLE]) / statistics.median(taken[MIXED])
    return MeasuredPrecision(MIXED if speed >= WORTH else SINGLE, speed)


def _pass(forward: Callable[[], Any], parameters: Sequence[nn.Parameter], device: torch.device, precision: str) -> None:
    """One forward and, where an output has a gradient, one backward pass."""
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == MIXED, cache_enabled=False):
        outputs = [each for each in tree_leaves(forward()) if isinstance(each, Tensor) and each.requires_grad]
        if outputs:
            total = torch.stack([each.float().sum() for each in outputs]).sum()
            torch.autograd.grad(total, parameters, allow_unused=True)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
