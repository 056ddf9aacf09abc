"""torchrl's replay buffer, sampled uniformly or by priority, with one-step or n-step returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from tensordict import TensorDictBase
from torch import Tensor
from torchrl.data import LazyMemmapStorage, LazyTensorStorage, TensorDictReplayBuffer
from torchrl.data.replay_buffers import RandomSampler

from lab.rl.data.buffers.hindsight import Hindsight
from lab.rl.data.buffers.n_step import look_ahead
from lab.rl.data.buffers.prioritized import PlainPrioritizedSampler
from lab.rl.data.buffers.segments import Segments
from lab.rl.data.memory import check_memory, step_size

STORED = ("observation", "action", ("next", "observation"), ("next", "reward"), ("next", "terminated"))
SAMPLED = ("index", "steps", "priority_weight")


def check_buffer_fits(buffer_size: int, storage: Literal["memory", "memmap"], facts: dict[str, Any]) -> None:
    """Refuses what would not fit into this machine's memory.

    Args:
        buffer_size: transitions of a buffer.
        storage: where they are to be.
        facts: of the environment.

    Raises:
        BadSetting: they are too many; says how many are not.
    """
    if storage == "memory":
        size = step_size(facts, observations=2) + 5  # the reward, and whether it terminated
        instead = "set data.storage=memmap, or data.buffer_size below {most}"
        check_memory("buffer_size", buffer_size, "transitions", size, instead)


class ReplayBuffer:
    """A ring of transitions, in the order they were made.

    >>> flags = {"terminated": torch.zeros(5, 1, dtype=torch.bool)}
    >>> after = {"observation": torch.zeros(5, 3), "reward": torch.ones(5, 1), **flags}
    >>> before = {"observation": torch.zeros(5, 3), "action": torch.zeros(5, 1)}
    >>> buffer = ReplayBuffer(100, "memory")
    >>> buffer.extend(TensorDict({**before, "next": after}, [5]))
    >>> buffer.sample(updates=2, size=4, progress=0.0)["observation"].shape
    torch.Size([2, 4, 3])

    Args:
        buffer_size: transitions that it keeps.
        storage: where: in memory, or in memory-mapped files.
        n_step: rewards that a sampled transition sums up, from 1.
        gamma: their discount per step, from 0 to 1.
        priority: alpha and the first beta of prioritised replay, from 0 to 1; None draws uniformly.
        num_envs: environments whose steps take turns; divides `buffer_size`.
        hindsight: replaces goals of what is sampled.
    """

    def __init__(
        self,
        buffer_size: int,
        storage: Literal["memory", "memmap"],
        n_step: int = 1,
        gamma: float = 1.0,
        priority: tuple[float, float] | None = None,
        num_envs: int = 1,
        hindsight: Hindsight | None = None,
    ) -> None:
        self.n_step, self.gamma, self.priority, self.num_envs = n_step, gamma, priority, num_envs
        self.hindsight = hindsight
        self.stored: tuple[str | tuple[str, str], ...] = STORED  # columns
        self.stores_episodes = n_step > 1 or hindsight is not None  # which of them a step is of
        self.replay = TensorDictReplayBuffer(
            storage={"memory": LazyTensorStorage, "memmap": LazyMemmapStorage}[storage](buffer_size),
            sampler=PlainPrioritizedSampler(buffer_size, *priority) if priority else RandomSampler(),
            generator=torch.default_generator,  # else torchrl draws by priority with NumPy's
        )
        self.segments = Segments(self.replay)
        self.loaded: dict[str, Any] = {}  # a checkpoint's state, until its rows are read

    def extend(self, steps: TensorDictBase) -> None:
        """Appends steps (T,) of `ArrayCollector.collect`."""
        rows = steps.select(*self.stored)
        for name in ("reward", "terminated"):
            rows["next", name] = rows["next", name].unsqueeze(-1)
        if self.stores_episodes:
            rows["episode"] = steps["collector", "traj_ids"].unsqueeze(-1)
        if self.hindsight:
            rows["place"] = self.hindsight.number(rows["episode"].squeeze(-1)).unsqueeze(-1)
        self.replay.extend(rows)

    def sample(self, updates: int, size: int, progress: float) -> TensorDictBase:
        """Batches (updates, size) of `STORED`, and of `index`, the row in the buffer; over several steps also
        `steps`, how many rewards are summed; by priority also `priority_weight`.

        Args:
            updates: how many batches.
            size: transitions of a batch.
            progress: how far the run is, from 0 to 1.
        """
        if self.priority:
            beta = self.priority[1]
            self.replay.sampler.beta = beta + (1 - beta) * progress
        batches: TensorDictBase = self.replay.sample(updates * size)
        if self.n_step > 1:
            rows = self.replay.storage[:]
            last, reward, steps = look_ahead(
                rows, batches["index"], self.newest(), self.n_step, self.gamma, self.num_envs
            )
            batches["next"] = rows["next"][last].set("reward", reward)
            batches["steps"] = steps
        if self.hindsight:
            self.hindsight.relabel(batches, self.replay.storage[:])
        return batches.select(*self.stored, *SAMPLED, strict=False).reshape(updates, size)

    def newest(self) -> int:
        """The row that was written last."""
        cursor: int = self.replay.writer.state_dict()["_cursor"]
        return (cursor - 1) % len(self.replay)

    def set_priorities(self, index: Tensor, errors: Tensor) -> None:
        """Errors of a module, at least 0, on the transitions at `index`; both of any one shape."""
        if self.priority:
            self.replay.update_priority(index.flatten(), errors.flatten())

    def state_dict(self) -> dict[str, Any]:
        """All but the transitions, which go with `write`."""
        return {"rows": self.segments.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The rest comes with `read`."""
        self.loaded = state["rows"]

    def write(self, folder: Path) -> list[str]:
        """Writes the transitions that `folder` lacks; returns the names of all the files that hold them."""
        return self.segments.write(folder)

    def read(self, folder: Path, files: list[str]) -> None:
        """Reads the transitions of the state that was loaded."""
        self.segments.read(folder, files, self.loaded)
        if self.hindsight and len(self.replay):
            self.hindsight.restore(self.replay.storage[:])
