"""Observations and rewards in units of their own spread, learnt while the agent acts and kept with its weights.

A policy acts by the figures as they were when its rollout began and learns by the same ones; they move on afterwards.
So one rollout comes from one policy, and its old probabilities are exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LIMIT = 10.0  # what lies further out is cut off: a rare event must not shake the weights
TINY = 1e-8


class Spread(nn.Module):
    """Mean and variance of all that was seen, merged batch by batch.

    Source of the merge: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance".
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, batch: Tensor) -> None:
        """Takes in `batch` (B, size)."""
        total, distance = self.count + len(batch), batch.mean(0) - self.mean
        share = len(batch) / total
        self.mean += distance * share
        self.variance.lerp_(batch.var(0, correction=0) + distance.square() * (1 - share), share)
        self.count.copy_(total)


class ObservationNorm(Spread):
    """Observations (..., O) with mean 0 and variance 1, as far as known."""

    def forward(self, observation: Tensor) -> Tensor:
        return ((observation - self.mean) * (self.variance + TINY).rsqrt()).clamp(-LIMIT, LIMIT)


class RewardScale(Spread):
    """Rewards divided by the spread of the running discounted return; their mean stays, because it has a meaning.

    Args:
        envs: environments that are played side by side.
        gamma: discount of the return per step.
    """

    running: Tensor

    def __init__(self, envs: int, gamma: float) -> None:
        super().__init__(1)
        self.gamma = gamma
        self.register_buffer("running", torch.zeros(envs))  # each environment's return up to now

    @torch.no_grad()
    def forward(self, reward: Tensor, done: Tensor) -> Tensor:
        """Takes in rewards (T, N) and returns them scaled."""
        returns, running = reward.cpu().numpy().copy(), self.running.cpu().numpy().copy()
        going_on = ~done.cpu().numpy()
        for row, alive in zip(returns, going_on, strict=True):
            row += self.gamma * running
            running = row * alive
        self.running.copy_(torch.from_numpy(running))
        self.update(torch.from_numpy(returns).reshape(-1, 1).to(reward.device))
        return (reward * (self.variance + TINY).rsqrt()).clamp(-LIMIT, LIMIT)
