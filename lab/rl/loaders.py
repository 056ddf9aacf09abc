"""The loaders of reinforcement learning: what is collected while it is asked for, and start seeds of episodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader

VALIDATION_SEEDS, TEST_SEEDS = 10_000, 20_000  # first start seeds: fixed, so that runs are compared on the same starts


class Collecting(Protocol):
    """A data module that collects."""

    def blocks(self) -> Iterator[Any]:
        """The blocks of an epoch, or what is left of it."""

    def epoch_length(self) -> int:
        """How many blocks the present epoch has in all."""


class Blocks:
    """The loader of one epoch's blocks, or of what is left of them.

    It has a length, that of the whole epoch, because Lightning fetches one batch ahead from what has none, and a block
    collected before the updates of the one before it would come from an old policy. Its state is empty: the data module
    knows where it stands, and having one tells Lightning not to skip what a checkpoint has already seen.
    """

    def __init__(self, data: Collecting) -> None:
        self.data = data

    def __iter__(self) -> Iterator[Any]:
        return self.data.blocks()

    def __len__(self) -> int:
        return self.data.epoch_length()

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def starts(first: int, episodes: int) -> DataLoader[torch.Tensor]:
    """One batch of consecutive start seeds."""
    return DataLoader(torch.arange(first, first + episodes), batch_size=episodes)  # type: ignore[arg-type]
