"""Policy evaluation from samples: TD(0) and Monte Carlo, held against the exact values.

Sources: Sutton 1988 (TD); Sutton & Barto 2018, chapters 5 and 6. A Markov reward process has a single action, and then
every policy is the same.
"""

from __future__ import annotations

import random
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Gt, Le
from torch import Tensor

from lab.rl.common import evaluation
from lab.rl.tabular.data import ModelData, Transition
from lab.rl.tabular.exploration import Exploration
from lab.rl.tabular.mdp import MDP, Actions, Array
from lab.rl.tabular.online import OnlineAgent
from lab.task import Task, Unit


class PolicyEvaluation(OnlineAgent):
    """Learns the values of a fixed policy; `test/value_error` is their root mean square error.

    The error is that to the solution of v = r + gamma P v, over all states that the policy reaches, without the time
    limit.

    Args:
        method: `td`: from the next state's value; `monte_carlo`: from the return of the episode, at its end.
        policy: `uniform`, or `optimal` for the discount.
    """

    def __init__(
        self,
        env: str,
        sizes: list[int],
        starts: list[int],
        actions: int,
        horizon: int,
        method: Literal["td", "monte_carlo"] = "td",
        policy: Literal["uniform", "optimal"] = "uniform",
        lr: Annotated[float, Gt(0), Le(1)] = 0.1,
        lr_decay: Unit = 0.0,
        gamma: Unit = 0.99,
        initial_value: float = 0.0,
    ) -> None:
        super().__init__(
            env, sizes, starts, 1, horizon, lr, lr_decay, gamma, initial_value, False, Exploration("boltzmann")
        )
        self.save_hyperparameters()
        self.method, self.followed, self.num_actions = method, policy, actions

    def forward(self, observation: Tensor) -> Tensor:
        """Values (B,) of observations (B,) or (B, parts)."""
        return self.table[0, self._index(observation), 0]

    @cached_property
    def chances(self) -> Array:
        """The policy that is evaluated: probabilities (S, A)."""
        states = self.table.shape[1]
        if self.followed == "uniform":
            return np.full((states, self.num_actions), 1 / self.num_actions)
        best = self._process().optimal_action_values(self.gamma).argmax(-1)
        chosen: Array = np.eye(self.num_actions)[best]
        return chosen

    @cached_property
    def exact(self) -> tuple[Actions, Array]:
        """The states that the policy reaches, and the exact values of all (S,)."""
        process = self._process()
        reached, before = process.start > 0, -1
        while reached.sum() != before:
            before = int(reached.sum())
            weight = self.chances[reached][..., None] * process.going_on[reached]
            reached[process.following[reached][weight > 0]] = True
        return np.flatnonzero(reached), process.policy_value(self.chances, self.gamma)

    def _process(self) -> MDP:
        assert self.process is not None  # the data refuses an environment without
        return self.process

    def act(self, state: int) -> int:
        return random.choices(range(self.num_actions), self.chances[state].tolist())[0]

    def learn(self, transition: Transition) -> None:
        state, _, reward, following, terminated, over = transition
        if self.method == "td":
            ahead = 0.0 if terminated else float(self.after[0, following, 0])
            self._move(state, reward + self.gamma * ahead)
            return
        self.episode.append((state, reward))
        if over:
            total = 0.0
            for state, reward in reversed(self.episode):
                total = reward + self.gamma * total
                self._move(state, total)
            self.episode = []

    def _move(self, state: int, target: float) -> None:
        error = target - float(self.after[0, state, 0])
        self.after[0, state, 0] += self.step_size(self.visit(state, 0)) * error
        self.errors.append(error)

    def evaluate(self, stage: str, starts: list[int]) -> dict[str, float]:  # noqa: ARG002 - no episode is played
        states, exact = self.exact
        difference = self.values[1][0, self._process().observed[states], 0] - exact[states]
        return {f"{stage}/value_error": float(np.sqrt(np.mean(difference**2)))}

    def play(self, video: Path, seed: int) -> float:
        chances = random.Random(seed)

        def act(observation: Tensor) -> Tensor:
            row = self.chances[int(self._index(observation)[0])].tolist()
            return torch.tensor(chances.choices(range(self.num_actions), row))

        return evaluation.record_video(act, self.env_factory, seed, self.device, video)


TASK = Task(module=PolicyEvaluation, data=ModelData, monitor="val/value_error", mode="min")
