"""A replay buffer that is sampled in sequences, for agents with a memory."""

from __future__ import annotations

from typing import Literal

import torch
from tensordict import TensorDictBase
from torch import Tensor

from lab.rl.data.buffers.buffer import STORED, ReplayBuffer
from lab.rl.data.buffers.n_step import following


class SequenceBuffer(ReplayBuffer):
    """A `ReplayBuffer` whose samples are sequences of steps of one environment, padded where an episode ends.

    A sequence begins at any step, with the state that the policy's memory had there when the step was made.

    >>> from tensordict import TensorDict
    >>> seen = torch.arange(5.0)[:, None]
    >>> steps = TensorDict({"observation": seen, "action": torch.zeros(5, 1), "memory": torch.zeros(5, 8)}, [5])
    >>> steps["next"] = {"observation": torch.arange(1.0, 6.0)[:, None], "reward": torch.ones(5)}
    >>> steps["next", "terminated"] = torch.tensor([False, False, True, False, False])
    >>> steps["collector"] = {"traj_ids": torch.tensor([0, 0, 0, 1, 1])}
    >>> buffer = SequenceBuffer(100, "memory", sequence_length=3)
    >>> buffer.extend(steps)
    >>> batch = buffer.sample(updates=2, size=4, progress=0.0)
    >>> batch.shape, batch["observation"].shape, batch["memory"].shape
    (torch.Size([2, 4]), torch.Size([2, 4, 3, 1]), torch.Size([2, 4, 8]))

    Args:
        buffer_size: transitions that it keeps.
        storage: where: in memory, or in memory-mapped files.
        sequence_length: steps of a sequence, L, from 1.
        num_envs: environments whose steps take turns; divides `buffer_size`.
    """

    def __init__(
        self, buffer_size: int, storage: Literal["memory", "memmap"], sequence_length: int, num_envs: int = 1
    ) -> None:
        super().__init__(buffer_size, storage, num_envs=num_envs)
        self.sequence_length, self.buffer_size, self.stores_episodes = sequence_length, buffer_size, True
        self.stored = (*STORED, "memory")

    def sample(self, updates: int, size: int, progress: float) -> TensorDictBase:  # noqa: ARG002 - as its parent's
        """Batches (updates, size) of a buffer's columns, (..., L, ·), and of

        - `memory` (..., S): the state before the first step,
        - `valid` (..., L): which steps are of the episode of the first; the others are padding,
        - `begins` (...): whether the first is the first one of an episode.
        """
        rows = self.replay.storage[:]
        first = torch.randint(len(rows), (updates * size,))
        newest = self.newest()
        places, valid = following(rows, first, newest, self.sequence_length, self.num_envs)
        batches: TensorDictBase = rows.select(*STORED)[places]
        batches.batch_size = places.shape[:1]
        batches["memory"] = rows["memory"][first]
        batches["valid"], batches["begins"] = valid, self._begins(rows, first, newest)
        return batches.reshape(updates, size)

    def _begins(self, rows: TensorDictBase, first: Tensor, newest: int) -> Tensor:
        before = (first - self.num_envs) % len(rows)
        is_known = (newest - first) % len(rows) + self.num_envs < len(rows)
        is_other = rows["episode"][before, 0] != rows["episode"][first, 0]
        # before the oldest step nothing was, or it may be overwritten
        return torch.where(is_known, is_other, torch.tensor(len(rows) < self.buffer_size))
