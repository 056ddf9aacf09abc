"""What is measured while episodes are played: a base, the mean cost, and by how much values are too large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Step(NamedTuple):
    """What followed an action: the next observation, the reward, whether the episode ended or was cut off, and info."""

    observation: np.ndarray
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class Observer:
    """Is told of every episode that `evaluation.play` plays; a subclass takes what it needs."""

    def begin(self, episode: int, observation: np.ndarray) -> None:
        """Takes the first observation of an episode, which has a number from 0."""

    def observe(self, episode: int, step: Step) -> None:
        """Takes one step of an episode."""

    def metrics(self, stage: str) -> dict[str, float]:  # noqa: ARG002 - for subclasses
        """What it measured in a validation (`val`) or test."""
        return {}


class MeanCost(Observer):
    """The mean cost per step, `val/cost` or `test/cost`, where the environment says it as `info["cost"]`.

    >>> cost = MeanCost()
    >>> for each in (1.0, 0.0):
    ...     cost.observe(0, Step(np.zeros(3), reward=0.0, terminated=False, truncated=False, info={"cost": each}))
    >>> cost.metrics("test")
    {'test/cost': 0.5}
    """

    def __init__(self) -> None:
        self.total, self.steps = 0.0, 0

    def observe(self, episode: int, step: Step) -> None:  # noqa: ARG002 - of all episodes together
        if "cost" in step.info:
            self.total, self.steps = self.total + float(step.info["cost"]), self.steps + 1

    def metrics(self, stage: str) -> dict[str, float]:
        """The mean, or nothing where no step had a cost."""
        return {f"{stage}/cost": self.total / self.steps} if self.steps else {}


class AttemptReturns(Observer):
    """The mean return of each attempt of a trial, where the environment says its number, from 0, as `info["attempt"]`.

    With `info["optimal_return"]` also by how much the best possible return of the same attempts is better.

    >>> attempts = AttemptReturns(num_episodes=1)
    >>> for attempt in (0, 0, 1):
    ...     info = {"attempt": attempt, "optimal_return": 3.0}
    ...     attempts.observe(0, Step(np.zeros(3), reward=1.0, terminated=False, truncated=False, info=info))
    >>> attempts.metrics("test")
    {'test/return_attempt_1': 2.0, 'test/return_attempt_2': 1.0, 'test/return_attempt_optimal': 3.0}

    Args:
        num_episodes: how many trials are played.
    """

    def __init__(self, num_episodes: int) -> None:
        self.returns = np.zeros((num_episodes, 0))
        self.optimal = np.full(num_episodes, np.nan)

    def observe(self, episode: int, step: Step) -> None:
        attempt = step.info.get("attempt")
        if attempt is None:
            return
        missing = attempt + 1 - self.returns.shape[1]
        if missing > 0:
            self.returns = np.pad(self.returns, ((0, 0), (0, missing)))
        self.returns[episode, attempt] += step.reward
        self.optimal[episode] = step.info.get("optimal_return", np.nan)

    def metrics(self, stage: str) -> dict[str, float]:
        """The means, or nothing where there are no attempts."""
        means = {f"{stage}/return_attempt_{i + 1}": float(each) for i, each in enumerate(self.returns.mean(0))}
        optimal = float(self.optimal.mean())
        return means if np.isnan(optimal) else means | {f"{stage}/return_attempt_optimal": optimal}


class ValueBias(Observer):
    """By how much the values of start states exceed the discounted returns that follow, `overestimation`.

    The return of an episode that a time limit cuts off has the value of its last state added, discounted.

    Source: van Hasselt, Guez and Silver 2016, "Deep reinforcement learning with double Q-learning", figure 3.

    >>> bias = ValueBias(lambda seen: torch.full((len(seen),), 5.0), gamma=0.5, num_episodes=1)
    >>> bias.begin(0, np.zeros(3))
    >>> bias.observe(0, Step(np.zeros(3), reward=4.0, terminated=True, truncated=False, info={}))
    >>> bias.metrics("test")
    {'test/overestimation': 1.0}

    Args:
        value: observations (B, O) -> values (B,) of the policy's actions, in units of the environment's return.
        gamma: discount per step.
        num_episodes: how many are played.
    """

    def __init__(self, value: Callable[[Tensor], Tensor], gamma: float, num_episodes: int) -> None:
        self.value, self.gamma = value, gamma
        self.values, self.returns, self.discounts = (
            np.zeros(num_episodes),
            np.zeros(num_episodes),
            np.ones(num_episodes),
        )

    def begin(self, episode: int, observation: np.ndarray) -> None:
        self.values[episode] = self._value(observation)

    def observe(self, episode: int, step: Step) -> None:
        self.returns[episode] += self.discounts[episode] * step.reward
        self.discounts[episode] *= self.gamma
        if step.truncated and not step.terminated:
            self.returns[episode] += self.discounts[episode] * self._value(step.observation)

    def metrics(self, stage: str) -> dict[str, float]:
        """The mean over all episodes; above 0 the values are too large."""
        return {f"{stage}/overestimation": float((self.values - self.returns).mean())}

    def _value(self, observation: np.ndarray) -> float:
        return float(self.value(torch.from_numpy(np.stack([observation]))))
