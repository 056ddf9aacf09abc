"""The loaders of data that is collected: blocks of an epoch for training, start seeds for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader


class BlockLoader:
    """The loader of one epoch's blocks, or of what is left of them.

    It has a length, that of the whole epoch, because Lightning fetches one batch ahead from what has none, and a block
    collected before the updates of the one before it would come from an old policy. Its state is empty: the data module
    knows where it stands, and having one tells Lightning not to skip what a checkpoint has already seen.

    Args:
        blocks: collects the blocks of the present epoch, or what is left of it.
        length: the number of blocks of the whole epoch.
    """

    def __init__(self, blocks: Callable[[], Iterator[Any]], length: Callable[[], int]) -> None:
        self.blocks, self.length = blocks, length

    def __iter__(self) -> Iterator[Any]:
        return self.blocks()

    def __len__(self) -> int:
        return self.length()

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def seed_loader(first: int, episodes: int) -> DataLoader[torch.Tensor]:
    """One batch of consecutive start seeds."""
    # with a generator of its own: a loader draws a number from torch's for each pass, and training would see that
    own = torch.Generator()
    return DataLoader(torch.arange(first, first + episodes), batch_size=episodes, generator=own)  # type: ignore[arg-type]
