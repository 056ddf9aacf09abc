"""Normalised observations and rewards, by running statistics that are kept with the agent's weights.

A policy acts by the statistics as they were when its rollout began and learns by the same ones; they are updated
afterwards. So one rollout comes from one policy, and its old probabilities are exact. Agents with a replay buffer keep
in it what the environment showed, and normalise what is sampled by the present statistics.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lab.errors import BadSetting
from lab.rl.common.processes import mean_over_processes
from lab.rl.envs.observations import Layout, ObservationSize
from lab.rl.networks.encoder import as_floats

CLIP = 10.0  # normalised values are clipped: a rare event must not shake the weights
EPSILON = 1e-8  # added to a variance


class RunningMeanStd(nn.Module):
    """Mean and variance of all samples so far, merged batch by batch.

    Source of the merge: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance".

    >>> statistics = RunningMeanStd(1)
    >>> for batch in ([[0.0], [2.0]], [[4.0], [6.0]]):
    ...     statistics.update(torch.tensor(batch))
    >>> statistics.mean, statistics.var
    (tensor([3.]), tensor([5.]))

    Args:
        size: numbers of a sample.
    """

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("var", torch.ones(size))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, batch: Tensor) -> None:
        """Merges the samples of `batch` (B, size), and those of as large batches of other processes."""
        count, mean, var = len(batch), batch.mean(0), batch.var(0, correction=0)
        if torch.distributed.is_initialized():
            count *= torch.distributed.get_world_size()
            pooled = mean_over_processes(mean.double())
            var = mean_over_processes(var.double() + (mean - pooled).square()).to(var.dtype)
            mean = pooled.to(mean.dtype)
        total, delta = self.count + count, mean - self.mean
        share = count / total
        self.mean += delta * share
        self.var.lerp_(var + delta.square() * (1 - share), share)
        self.count.copy_(total)


class ObservationNorm(RunningMeanStd):
    """Observations (..., O) shifted and scaled to mean 0 and variance 1, and clipped to [-10, 10].

    >>> norm = ObservationNorm(1)
    >>> norm.update(torch.tensor([[1.0], [3.0]]))
    >>> norm(torch.tensor([[3.0], [99.0]])).T
    tensor([[ 1., 10.]])

    Args:
        size: length of an observation, O.
    """

    def forward(self, observation: Tensor) -> Tensor:
        return self.as_function()(observation)

    def as_function(self) -> Callable[[Tensor], Tensor]:
        """The same with the present statistics, for many calls."""
        mean, scale = self.mean, (self.var + EPSILON).rsqrt()
        return lambda observation: ((observation - mean) * scale).clamp(-CLIP, CLIP)


class PartsNorm(ObservationNorm):
    """The vectors among the parts of an observation, normalised; the rest stays as it is.

    >>> norm = PartsNorm(Layout({"place": {"size": 1}, "phase": {"counts": [3]}}))
    >>> norm.update(torch.tensor([[1.0, 2.0], [3.0, 0.0]]))
    >>> norm(torch.tensor([[3.0, 2.0]]))
    tensor([[1., 2.]])

    Args:
        layout: where they lie: at the beginning of a row.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout.vectors)
        self.layout = layout

    def update(self, batch: Tensor) -> None:
        super().update(self._parts(batch)[0])

    def as_function(self) -> Callable[[Tensor], Tensor]:
        normalize = super().as_function()

        def function(observation: Tensor) -> Tensor:
            vectors, rest = self._parts(observation)
            normal = normalize(vectors)
            return torch.cat([normal.float().view(torch.uint8) if self.layout.pixels else normal, rest], -1)

        return function

    def _parts(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        edge = self.layout.vectors
        if not self.layout.pixels:
            return observation[..., :edge], observation[..., edge:]
        bytes_of = observation.to(torch.uint8)
        return as_floats(bytes_of[..., : 4 * edge]), bytes_of[..., 4 * edge :]


def observation_normalization(observation_size: ObservationSize) -> ObservationNorm:
    """The normalisation of such observations.

    Raises:
        BadSetting: there is no vector among them.
    """
    if isinstance(observation_size, int):
        return ObservationNorm(observation_size)
    layout = Layout(observation_size)
    if not layout.vectors:
        found = "observations have no vector to normalise (images are scaled, choices are one-hot); leave it out"
        raise BadSetting("normalize_observations", found)
    return PartsNorm(layout)


class RewardNorm(RunningMeanStd):
    """Rewards divided by the standard deviation of the discounted return; their mean stays, because it has a meaning.

    >>> RewardNorm(num_envs=2, gamma=0.99)(torch.rand(5, 2), done=torch.zeros(5, 2, dtype=torch.bool)).shape
    torch.Size([5, 2])

    Args:
        num_envs: environments that are stepped side by side, N.
        gamma: discount of the return per step, from 0 to 1.
    """

    returns: Tensor

    def __init__(self, num_envs: int, gamma: float) -> None:
        super().__init__(1)
        self.gamma = gamma
        self.register_buffer("returns", torch.zeros(num_envs))  # each environment's discounted return so far

    def forward(self, reward: Tensor, done: Tensor, valid: Tensor | None = None) -> Tensor:
        """Merges rewards (T, N) into the statistics, those that are `valid` if not all, and normalises them."""
        self.merge(reward, done, valid)
        return self.scale(reward)

    def scale(self, reward: Tensor) -> Tensor:
        """Rewards of any shape, normalised by the present statistics."""
        return (reward * self.factor()).clamp(-CLIP, CLIP)

    def factor(self) -> Tensor:
        """What rewards are multiplied by, (1,)."""
        return (self.var + EPSILON).rsqrt()

    @torch.no_grad()
    def merge(self, reward: Tensor, done: Tensor, valid: Tensor | None = None) -> None:
        """Merges rewards (T, N) into the statistics."""
        returns, current = reward.cpu().numpy().copy(), self.returns.cpu().numpy().copy()
        not_done = ~done.cpu().numpy()
        for row, alive in zip(returns, not_done, strict=True):
            row += self.gamma * current
            current = row * alive
        self.returns.copy_(torch.from_numpy(current))
        found = torch.from_numpy(returns).to(reward.device)
        self.update((found if valid is None else found[valid]).reshape(-1, 1))
