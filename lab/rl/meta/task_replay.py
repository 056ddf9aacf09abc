"""Replay of several tasks: transitions to learn from, and recent ones of the same tasks to know these by."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le
from tensordict import TensorDict, TensorDictBase

from lab.errors import BadSetting
from lab.rl.data.buffers.buffer import ReplayBuffer
from lab.rl.data.loaders import VALIDATION_SEEDS
from lab.rl.data.replay import ReplayData
from lab.rl.envs.wrappers import WrapperSpec

PREVIOUS_STEP = "lab.rl.envs.layers.previous_step:PreviousStep"
TRAINING_TASKS = "lab.rl.meta.training_tasks:TrainingTasks"


class TaskBuffer(ReplayBuffer):
    """A `ReplayBuffer` whose batches have as many transitions of each of some tasks, and a context for each task.

    Observations that are appended have three parts: the environment's own, the previous action and reward, and the
    number of the task. In a batch they have the first one alone.

    Args:
        buffer_size: transitions that it keeps.
        storage: where: in memory, or in memory-mapped files.
        num_tasks: how many there are.
        tasks_per_update: tasks of a batch, M.
        context_size: transitions of a context, C.
        recent_steps: latest transitions of a task, among which its context is.
    """

    def __init__(
        self,
        buffer_size: int,
        storage: Literal["memory", "memmap"],
        num_tasks: int,
        tasks_per_update: int,
        context_size: int,
        recent_steps: int,
    ) -> None:
        super().__init__(buffer_size, storage)
        self.num_tasks, self.tasks_per_update = num_tasks, tasks_per_update
        self.context_size, self.recent_steps = context_size, recent_steps
        self.stored = (*self.stored, "task")

    def extend(self, steps: TensorDictBase) -> None:
        own = steps["observation"].shape[-1] - steps["action"].shape[-1] - 2
        steps = steps.copy()
        steps["task"] = steps["observation"][..., -1:].long()
        for place in (steps, steps["next"]):
            place["observation"] = place["observation"][..., :own]
        super().extend(steps)

    def sample(self, updates: int, size: int, progress: float) -> TensorDictBase:  # noqa: ARG002 - as its parent's
        """Batches (updates,) of a buffer's columns (..., B, ·), one task after the other, and of

        - `context` (..., M, C, O + A + 1): observation, action and reward of consecutive transitions of each task,
          among its recent ones; where there are fewer, the oldest one is repeated.

        B is `size`, rounded up to a multiple of M. A task may be in a batch twice.
        """
        rows = self.replay.storage[:]
        tasks, length = rows["task"].squeeze(-1), len(rows)
        age = (torch.arange(length) - self.newest() - 1) % length  # 0 is the oldest
        order = (tasks * length + age).argsort()  # by task, and then by age
        count = tasks.bincount(minlength=self.num_tasks)
        first = count.cumsum(0) - count
        known = count.nonzero().squeeze(-1)
        chosen = known[torch.randint(len(known), (updates, self.tasks_per_update))]
        first, count = (each[chosen].unsqueeze(-1) for each in (first, count))  # (updates, M, 1)
        shape = (*chosen.shape, -(-size // self.tasks_per_update))
        batches = rows.select(*self.stored[:-1])[order[first + (torch.rand(shape) * count).long()].flatten(1)]
        older = (count.clamp(max=self.recent_steps) - self.context_size).clamp(min=0)  # than the latest context
        back = (torch.rand(count.shape) * (older + 1)).long() + torch.arange(self.context_size)
        recent = rows[order[first + (count - 1 - back).clamp(min=0)]]
        context = torch.cat([recent["observation"], recent["action"], recent["next", "reward"]], -1)
        return TensorDict(batches.to_dict() | {"context": context}, [updates])


class TaskReplayData(ReplayData):
    """Replay of the tasks of an environment that draws one for each episode, which is a trial of it.

    Training has `num_tasks` tasks, those of the start seeds from 0 on; validation and test have others.

    >>> data = TaskReplayData("lab.rl.meta.point_robot:PointRobot", total_steps=1_000)
    >>> data.facts()["observation_size"]  # 3 of its own, the previous action and reward, and the task
    7

    Args:
        num_tasks: tasks of the training.
        tasks_per_update: tasks of an update.
        batch_size: transitions per update, as many of each task; rounded up.
        context_size: transitions of a context, which follow each other.
        recent_steps: latest transitions of a task, among which its context is.
    """

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        wrappers: list[str | WrapperSpec] | None = None,
        num_tasks: Annotated[int, Ge(1), Le(VALIDATION_SEEDS)] = 100,
        tasks_per_update: Annotated[int, Ge(1)] = 16,
        context_size: Annotated[int, Ge(1)] = 20,
        recent_steps: Annotated[int, Ge(1)] = 60,
        **kwargs: Any,
    ) -> None:
        added = PREVIOUS_STEP, WrapperSpec(class_path=TRAINING_TASKS, init_args={"num_tasks": num_tasks})
        super().__init__(env, total_steps, wrappers=[*(wrappers or ()), *added], **kwargs)
        self.num_tasks, self.tasks_per_update = num_tasks, tasks_per_update
        self.context_size, self.recent_steps = context_size, recent_steps
        if context_size > recent_steps:
            raise BadSetting("context_size", f"expected at most recent_steps ({recent_steps}), found {context_size}")
        if self.goals is not None:
            raise BadSetting("hindsight", "a context has the rewards that were paid; leave it out")

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if self.collector is not None:
            self.collector.reset()  # the first trials as well are of tasks of the training

    def make_buffer(self, gamma: float) -> ReplayBuffer:  # noqa: ARG002 - as its parent's
        return TaskBuffer(
            self.buffer_size, self.storage, self.num_tasks, self.tasks_per_update, self.context_size, self.recent_steps
        )
