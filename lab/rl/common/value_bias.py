"""By how much an agent's values exceed the discounted returns that its greedy policy then earns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from lab.rl.common.evaluation import Step


class ValueBias:
    """A policy for `evaluation.play` that compares the values of start states with what follows.

    The return of an episode that a time limit cuts off has the value of its last state added, discounted.

    Source: van Hasselt, Guez and Silver 2016, "Deep reinforcement learning with double Q-learning", figure 3.

    >>> still = ValueBias(lambda seen: torch.zeros(len(seen)), lambda seen: torch.full((len(seen),), 5.0), 0.5, 1)
    >>> still(torch.zeros(1, 3))  # of episode 0
    tensor([0.])
    >>> still.observe(0, Step(np.zeros(3), reward=4.0, terminated=True, truncated=False, info={}))
    >>> still.mean()
    1.0

    Args:
        policy: observations (B, O) -> actions; may have a method `follow`, as that of `play`.
        value: observations (B, O) -> values (B,) of its actions, in units of the environment's return.
        gamma: discount per step.
        num_episodes: how many are played, numbered from 0.
    """

    def __init__(
        self,
        policy: Callable[[Tensor], Tensor],
        value: Callable[[Tensor], Tensor],
        gamma: float,
        num_episodes: int,
    ) -> None:
        self.policy, self.value, self.gamma = policy, value, gamma
        self.values = np.full(num_episodes, np.nan)
        self.returns, self.discounts = np.zeros(num_episodes), np.ones(num_episodes)
        self.episodes: Sequence[int] = range(num_episodes)

    def follow(self, episodes: Sequence[int]) -> None:
        """Takes the episodes of the next batch's rows."""
        self.episodes = episodes
        if hasattr(self.policy, "follow"):
            self.policy.follow(episodes)

    def __call__(self, observation: Tensor) -> Tensor:
        began = [row for row, episode in enumerate(self.episodes) if np.isnan(self.values[episode])]
        if began:
            self.values[[self.episodes[row] for row in began]] = self.value(observation[began]).cpu().numpy()
        return self.policy(observation)

    def observe(self, episode: int, step: Step) -> None:
        """Takes one step of an episode."""
        self.returns[episode] += self.discounts[episode] * step.reward
        self.discounts[episode] *= self.gamma
        if step.truncated and not step.terminated:
            last = self.value(torch.from_numpy(np.stack([step.observation])))
            self.returns[episode] += self.discounts[episode] * float(last)

    def mean(self) -> float:
        """The mean over all episodes; above 0 the values are too large."""
        return float((self.values - self.returns).mean())
