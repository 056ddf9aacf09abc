"""Shared by agents whose values are a table: the greedy policy, its exact return, and the picture of both."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Trainer
from torch import Tensor, nn

from lab.errors import BadSetting
from lab.rl.common import evaluation
from lab.rl.common.agent import Agent
from lab.rl.tabular import plots
from lab.rl.tabular.mdp import MDP, Actions, Array, process_of


class TabularAgent(Agent):
    """An agent with a table of action values (1, S, A), or one for every number of remaining steps (1 + horizon, S, A).

    Where the environment has a transition table, returns are exact: the greedy policy is evaluated by dynamic
    programming over all start states and outcomes, within the time limit, and `test/optimality_gap` is what the best
    policy within that limit, which may count its steps, earns more. Elsewhere episodes are played. An environment
    with a method `set_steps` is told how many steps the training has taken.

    Args:
        sizes: numbers of values of the parts of an observation; their product is the number of states S.
        starts: smallest value of each part.
        actions: number of actions A.
        horizon: time limit of an episode in steps.
        finite_horizon: a table for each number of remaining steps; layer 0, with no step left, stays 0.
    """

    def __init__(
        self, env: str, sizes: list[int], starts: list[int], actions: int, horizon: int, finite_horizon: bool
    ) -> None:
        super().__init__(env)
        self.sizes, self.starts, self.horizon, self.finite_horizon = sizes, starts, horizon, finite_horizon
        layers = 1 + horizon if finite_horizon else 1
        self.table = nn.Parameter(torch.zeros(layers, math.prod(sizes), actions, dtype=torch.float64))
        self.example_input_array = torch.tensor([starts] if len(starts) > 1 else starts)

    def forward(self, observation: Tensor) -> Tensor:
        """Greedy actions (B,) for observations (B,) or (B, parts), with all steps left."""
        return self.table[-1][self._index(observation)].argmax(-1)

    def _index(self, observation: Tensor) -> Tensor:
        parts = (observation[..., None] if len(self.sizes) == 1 else observation).unbind(-1)
        index = torch.zeros_like(parts[0])
        for part, size, start in zip(parts, self.sizes, self.starts, strict=True):
            index = index * size + part - start
        return index

    @property
    def values(self) -> tuple[Array, Array]:
        """Values before a backup and the same memory after it, layer by layer: (L, S, A) each."""
        table: Array = self.table.detach().numpy()
        return (table[:-1], table[1:]) if self.finite_horizon else (table, table)

    def policy(self) -> Actions:
        """Greedy actions (L, S): in every layer but that with no step left."""
        greedy: Actions = self.values[1].argmax(-1)
        return greedy

    @cached_property
    def process(self) -> MDP | None:
        """The environment's process, where it has a transition table."""
        return process_of(self.env_factory)

    def evaluate(self, stage: str, starts: list[int]) -> dict[str, float]:
        inner: Any = self.env_factory.for_evaluation(1)[0].unwrapped
        if hasattr(inner, "set_steps"):  # it changes with the steps of the training
            inner.set_steps(self.env_steps)
            vars(self).pop("process", None)
        if self.process is None:
            return super().evaluate(stage, starts)
        found = self.process.policy_return(self.policy(), self.horizon)
        metrics = {f"{stage}/return": found}
        if stage == "test":
            metrics["test/optimality_gap"] = self.process.optimal_return(self.horizon) - found
        return metrics

    def play(self, video: Path, seed: int) -> float:
        left = iter(range(self.horizon, 0, -1))

        def act(observation: Tensor) -> Tensor:
            return self.table[min(next(left), len(self.table) - 1)][self._index(observation)].argmax(-1)

        return evaluation.record_video(act, self.env_factory, seed, self.device, video)

    def check_trainer(self, trainer: Trainer) -> None:
        super().check_trainer(trainer)
        if trainer.strategy.root_device.type != "cpu":
            raise BadSetting("trainer.accelerator", "a table is learnt on the CPU: set it to cpu")
        if trainer.precision not in ("32-true", "64-true"):
            raise BadSetting("trainer.precision", f"a table has double precision: leave out {trainer.precision!r}")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Lightning counts its steps; each runs a closure that changes the table in place."""
        return torch.optim.SGD([self.table])

    def draw(self) -> None:
        plots.draw_table(self, self.env_factory.for_evaluation(1)[0], np.array(self.values[1][-1]))
