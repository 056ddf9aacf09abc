"""Batches cut out of tensors in memory: no workers, no work per image, and no state.

What the batches of an epoch are follows from the seed, the epoch and the number of the batch alone. So a run that is
resumed in the middle of an epoch starts there, and several processes agree without a message on who takes what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lab.vision.data.augment import Batch, augment
from lab.vision.data.images import Images, mixed


def cut(images: Images, rows: Tensor) -> Batch:
    """A batch: `image` from 0 to 1 and all targets, the mask as whole numbers that a loss takes."""
    batch = {name: target.index_select(0, rows) for name, target in images.targets.items()}
    if "mask" in batch:
        batch["mask"] = batch["mask"].long()
    return {"image": images.images.index_select(0, rows).float().div_(255)} | batch


class Batches:
    """The loader of a part: in order and whole, or shuffled anew in every epoch, in batches of one size.

    Shuffled batches all have the same size, and what is left over is not seen in that epoch; the others differ in size
    by one at most, so that no process has a batch more than another.

    Args:
        images: the part, on the device where it will be used.
        batch_size: images of a batch, for each process.
        process: number of this process, and how many there are.
        seed: shuffles and changes the images; None gives them in order, as they are.
        trainer: knows the epoch and, after a restart, the batches of it that were seen already.
        changes: strengths of random changes, by name.
        points: names of the key points.
    """

    def __init__(
        self,
        images: Images,
        batch_size: int,
        process: tuple[int, int] = (0, 1),
        seed: int | None = None,
        trainer: Any = None,
        changes: Mapping[str, float] | None = None,
        points: Sequence[str] = (),
    ) -> None:
        self.images, self.seed, self.trainer = images, seed, trainer
        self.rank, self.world = process
        self.changes, self.points = changes or {}, points
        self.batch_size = max(1, min(batch_size, len(images) // self.world))

    def __len__(self) -> int:
        together = self.batch_size * self.world
        return len(self.images) // together if self.seed is not None else -(-len(self.images) // together)

    def __iter__(self) -> Iterator[Batch]:
        if self.seed is None:
            for rows in torch.arange(len(self.images)).tensor_split(len(self) * self.world)[self.rank :: self.world]:
                yield cut(self.images, rows.to(self.images.images.device))
        else:
            yield from self._shuffled(self.seed, *self._position())

    def state_dict(self) -> dict[str, Any]:
        """Nothing: Lightning knows the epoch and the batch. Having one says that no batch needs to be skipped."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def _position(self) -> tuple[int, int]:
        """The epoch, and how many batches of it have been seen."""
        if self.trainer is None:
            return 0, 0
        loop = self.trainer.fit_loop.epoch_loop
        return self.trainer.current_epoch, loop.batch_progress.current.ready if self.trainer.training else 0

    def _shuffled(self, seed: int, epoch: int, begin: int) -> Iterator[Batch]:
        device = self.images.images.device
        order = torch.randperm(len(self.images), generator=torch.Generator().manual_seed(mixed(seed, epoch)))
        count = len(self)
        rows = order[: count * self.world * self.batch_size].view(count, self.world, self.batch_size)[:, self.rank]
        rows = rows.to(device)
        random = torch.Generator(device)

        def batch(i: int) -> Batch:
            found = cut(self.images, rows[i])
            if not self.changes:
                return found
            random.manual_seed(mixed(seed, epoch, i, self.rank))
            return augment(found, self.changes, random, self.points)

        yield from map(batch, range(begin, count))  # keeps none of them: the next one takes its memory
