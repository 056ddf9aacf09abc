"""Shared by agents that learn from replayed transitions: a block of updates as one step of the optimiser.

A subclass says which keys of the batches an update reads (`batch_keys`) and what is sampled for it
(`update_inputs`), which parameters its Adam steps (`groups`), with which flags an update runs (`update_flags`), and
what an update does (`_update`). Everything random in an update is sampled before it, as one more of its inputs,
so that the eager and the compiled update are one function of the same numbers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torch import Tensor

from lab.errors import BadSetting
from lab.rl.common import adam
from lab.rl.common.learner import Learner, clip_
from lab.rl.common.observers import Observer, ValueBias
from lab.rl.common.processes import average
from lab.rl.data.replay import Block, ReplayData
from lab.rl.envs.observations import ObservationSize
from lab.rl.networks.encoder import example_input
from lab.rl.networks.normalization import RewardNorm, observation_normalization


class OffPolicy(Learner):
    """An agent that learns from a `Block` of batches, one for each update.

    One with a `state_value` (B, O) -> (B, 1) logs `val/overestimation` and `test/overestimation`, by how much the
    values of start states exceed the discounted returns of the greedy policy, as `ValueBias` has it.

    Args:
        observation_size: what an observation is; the length of a vector.
        lr: learning rate of Adam.
        gamma: discount of the return per step.
        normalize_observations: normalise observations to mean 0 and variance 1, with running statistics.
        normalize_rewards: divide rewards by the running standard deviation of the discounted return.
        num_envs: environments that collect.
    """

    averages_gradients = True
    reward_scale = 1.0  # of those that have a setting for it

    # of a block's batches: what an update reads, in this order
    batch_keys: tuple[str | tuple[str, str], ...] = (
        "observation",
        "action",
        ("next", "reward"),
        ("next", "observation"),
        ("next", "terminated"),
    )

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        lr: float,
        final_lr: float,
        gamma: float,
        normalize_observations: bool,
        normalize_rewards: bool,
        num_envs: int,
    ) -> None:
        super().__init__(env, lr, final_lr)
        self.gamma = gamma
        self.observation_norm = observation_normalization(observation_size) if normalize_observations else None
        self.reward_norm = RewardNorm(num_envs, gamma) if normalize_rewards else None
        self.example_input_array = example_input(observation_size)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit" and self.trainer.world_size > 1:
            for key, norm in {
                "normalize_observations": self.observation_norm,
                "normalize_rewards": self.reward_norm,
            }.items():
                if norm is not None:
                    raise BadSetting(key, "each process would have statistics of its own; set data.num_envs instead")

    @abstractmethod
    def exploration_policy(self) -> TensorDictModuleBase:
        """The policy that collects: reads `observation`, writes `action`."""

    def num_updates(self, data: ReplayData) -> int:
        return int((data.total_steps - data.learning_starts) * data.updates_per_step / data.world_size)

    def update_inputs(self, batches: TensorDictBase) -> tuple[Tensor, ...]:
        """Inputs of the updates of a block, each (updates, B, ...); noise that they need is sampled here."""
        return tuple(self._normalized(key, batches[key]) for key in self.batch_keys)

    def _normalized(self, key: str | tuple[str, str], column: Tensor) -> Tensor:
        if key in ("observation", ("next", "observation")):
            return self.normalize(column)
        return self.reward_norm.scale(column) if key == ("next", "reward") and self.reward_norm is not None else column

    def normalize(self, observation: Tensor) -> Tensor:
        return observation if self.observation_norm is None else self.observation_norm(observation)

    def observe(self, steps: TensorDictBase) -> None:
        """Merges steps (T, N), as they were collected, into the running statistics."""
        if self.observation_norm is not None:
            self.observation_norm.update(steps["observation"].flatten(0, 1).to(self.device))
        if self.reward_norm is not None:
            self.reward_norm.merge(steps["next", "reward"].to(self.device), steps["next", "done"])

    def observers(self, episodes: int) -> list[Observer]:
        state_value: Any = getattr(self, "state_value", None)
        if state_value is None:
            return super().observers(episodes)
        unit = self.reward_scale if self.reward_norm is None else self.reward_scale * float(self.reward_norm.factor())

        def value(observation: Tensor) -> Tensor:
            seen = observation.to(self.device)
            found: Tensor = state_value(seen.to(self.dtype) if seen.is_floating_point() else seen)
            return found.squeeze(-1) / unit

        return [*super().observers(episodes), ValueBias(value, self.gamma, episodes)]

    def update_flags(self, number: int) -> dict[str, bool]:  # noqa: ARG002 - for subclasses
        """Keywords of the update that is the run's `number`-th, from 0; a compiled update has one graph for each."""
        return {}

    def after_update(self, number: int) -> None:
        """What is done once in many updates, so that they are one graph; it follows the run's `number`-th, from 0."""

    @abstractmethod
    def _update(self, state: Sequence[Any], *batch: Tensor, measure: bool) -> dict[str, Tensor]:
        """One update on one batch; runs eager or compiled.

        `state` is the optimiser's, one entry per group. Returns scalars to log, detached, if it is to `measure`. Under
        `errors` it may return the error of every sample (B,), from which the data module makes its priority.
        """

    def update_on_batch(self, block: Block, state: Sequence[Any]) -> dict[str, Tensor]:
        """All updates of one block; returns what the last one measured."""
        batches = block.steps
        first, last = int(self.updates), len(batches) - 1
        rows = zip(*(column.unbind(0) for column in self.update_inputs(batches)), strict=True)
        measured = []
        for index, row in enumerate(rows):
            is_measured = index == last
            # not compiled, because measuring takes a sixth of a compiled update, and a graph of its own to compile
            update = self.uncompiled_update if is_measured and last else self.update
            measured.append(update(state, *row, measure=is_measured, **self.update_flags(first + index)))
            self.after_update(first + index)
        self.updates += len(batches)
        if "errors" in measured[-1]:
            errors = torch.stack([update.pop("errors") for update in measured])  # (updates, B)
            self.trainer.datamodule.set_priorities(batches["index"], errors)  # type: ignore[attr-defined]
        return measured[-1]

    def _step(
        self, state: Sequence[Any], gradients: Sequence[Sequence[Tensor]], max_grad_norm: float | None = None
    ) -> None:
        """One Adam step per group, on gradients averaged over all processes, each clipped to `max_grad_norm`."""
        if torch.distributed.is_initialized():
            average(gradients)
        for tensors, gradient in zip(state, gradients, strict=True):
            if max_grad_norm is not None:
                clip_(gradient, max_grad_norm)
            adam.adam_(gradient, *tensors)
