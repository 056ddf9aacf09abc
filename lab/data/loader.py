"""Batches of a table in memory: no workers, no work per row, and no state.

The batches of an epoch follow from the seed, the epoch and the number of the batch alone. So a run that is resumed in
the middle of an epoch starts there, and several processes agree without a message on who takes which rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.data.table import Table

Batch = dict[str, Tensor]
Collate = Callable[[Table], Batch]
Transform = Callable[[Batch, torch.Generator], Batch]
Position = Callable[[], tuple[int, int]]  # the epoch, and the batches of it that were seen before


def seed_from(*numbers: int) -> int:
    """One seed from several numbers, such as a run's seed and an epoch.

    >>> seed_from(0, 1) == seed_from(0, 1) != seed_from(1, 0)
    True
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class TableLoader:
    """Batches of a table, in order and whole, or shuffled anew in every epoch.

    Shuffled batches all have the same size, and what is left over is not seen in that epoch. Batches in order differ in
    size by one at most, so that no process has a batch more than another.

    >>> loader = TableLoader(Table({"x": torch.arange(5)}), batch_size=2)
    >>> [batch["x"].tolist() for batch in loader]
    [[0, 1], [2, 3], [4]]

    Args:
        table: on the device where the batches are used.
        batch_size: rows of a batch, in each process; at least 1.
        seed: shuffles the rows, and seeds `transform`; None gives the rows in order.
        rank: number of this process, from 0 to `world_size` - 1.
        world_size: number of processes, from 1.
        position: asked when an epoch begins: which one, and how many batches of it were seen before a restart. By
            default always the first epoch from its beginning.
        collate: from some rows of the table to a batch; by default all columns, ragged ones padded, with a mask.
        transform: random changes of a shuffled batch, with a generator on its device that is seeded for this batch.
    """

    def __init__(
        self,
        table: Table,
        batch_size: int,
        *,
        seed: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        position: Position = lambda: (0, 0),
        collate: Collate = Table.padded,
        transform: Transform | None = None,
    ) -> None:
        self.table, self.seed, self.rank, self.world_size = table, seed, rank, world_size
        self.position, self.collate, self.transform = position, collate, transform
        self.batch_size = max(1, min(batch_size, len(table) // world_size))

    def __len__(self) -> int:
        together = self.batch_size * self.world_size
        return len(self.table) // together if self.seed is not None else -(-len(self.table) // together)

    def __iter__(self) -> Iterator[Batch]:
        if self.seed is None:
            yield from self._ordered()
        else:  # asked with the first batch, not before: Lightning makes the iterator before it counts a new epoch
            yield from self._shuffled(self.seed, *self.position())

    @property
    def dataset(self) -> Table:
        """The table, by the name that torch's own loader has for it."""
        return self.table

    def state_dict(self) -> dict[str, Any]:
        """Empty, since `position` is told the epoch and the batch. Having one says that no batch is to be skipped."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def _ordered(self) -> Iterator[Batch]:
        parts = torch.arange(len(self.table)).tensor_split(len(self) * self.world_size)
        for rows in parts[self.rank :: self.world_size]:
            yield self.collate(self.table[rows.to(self.table.device)])

    def _shuffled(self, seed: int, epoch: int, seen: int) -> Iterator[Batch]:
        device, count = self.table.device, len(self)
        order = torch.randperm(len(self.table), generator=torch.Generator().manual_seed(seed_from(seed, epoch)))
        rows = order[: count * self.world_size * self.batch_size].view(count, self.world_size, self.batch_size)
        rows = rows[:, self.rank].to(device)
        generator = torch.Generator(device)

        def batch(i: int) -> Batch:
            found = self.collate(self.table[rows[i]])
            if self.transform is None:
                return found
            return self.transform(found, generator.manual_seed(seed_from(seed, epoch, i, self.rank)))

        yield from map(batch, range(seen, count))  # keeps none of them: the next one takes its memory
