"""A batch of collected steps, as a `training_step` gets it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

import torch
from tensordict import TensorDictBase


class Collected:
    """Steps of environments, and the counters at their end.

    Not a NamedTuple: of one of these Lightning converts every entry to the training's precision, and takes a TensorDict
    for a dictionary, which has no shape of its own.

    Args:
        steps: TensorDict of the steps.
        env_steps: environment steps so far, over all processes, these included.
        returns: undiscounted returns of the training episodes that ended in these steps.
    """

    def __init__(self, steps: TensorDictBase, env_steps: int, returns: Sequence[float]) -> None:
        self.steps, self.env_steps, self.returns = steps, env_steps, returns

    def parts(self) -> Iterator[Self]:
        """What is learnt from one after the other: here the batch itself."""
        yield self

    def to(self, device: torch.device) -> Self:
        """The same on a device; Lightning calls it."""
        return type(self)(self.steps.to(device), self.env_steps, self.returns)

    def as_type(self, dtype: torch.dtype) -> Self:
        """The same with all floating-point columns in `dtype`; environments and buffers have single precision."""
        if dtype == torch.float32:
            return self
        steps = self.steps.apply(lambda column: column.to(dtype) if column.is_floating_point() else column)
        assert steps is not None
        return type(self)(steps, self.env_steps, self.returns)
