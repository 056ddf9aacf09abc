"""Distributions over weights: what a population is drawn from, and how its fitness changes them.

Sources: Rubinstein 1999, Szita & Lörincz 2006 (cross-entropy method, with noise that decreases); Salimans et al. 2017
(evolution strategies: mirrored samples, ranks); Hansen & Ostermeier 2001 (CMA-ES, of the package `cmaes`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from cmaes import CMA
from torch import Tensor


class Sampler(ABC):
    """A distribution around the mean weights `mean` (D,), which it changes in place.

    Args:
        mean: the weights of the policy that is evaluated.
        population: how many weights are drawn at a time, P.
        sigma: standard deviation, at first.
    """

    def __init__(self, mean: Tensor, population: int, sigma: float) -> None:
        self.mean, self.population, self.sigma = mean, population, sigma

    @abstractmethod
    def sample(self) -> Tensor:
        """New weights (P, D)."""

    @abstractmethod
    def update(self, weights: Tensor, fitness: Tensor) -> None:
        """Moves towards the weights (P, D) whose fitness (P,) is larger."""

    def state(self) -> dict[str, Any]:
        """The state besides the mean, as plain values."""
        return {}

    def load(self, state: dict[str, Any]) -> None:  # noqa: B027 - the mean may be all there is
        """The counterpart of `state`."""


class CrossEntropy(Sampler):
    """Mean and standard deviation of each weight become those of the best samples.

    >>> sampler = CrossEntropy(torch.zeros(2), population=50, sigma=3.0, elite_frac=0.2, extra_std=0.0, decay=1)
    >>> for _ in range(20):
    ...     weights = sampler.sample()
    ...     sampler.update(weights, -(weights - 3).square().sum(-1))
    >>> bool((sampler.mean - 3).abs().max() < 0.1)
    True

    Args:
        elite_frac: share of the samples that count as the best.
        extra_std: added to the standard deviations at first, against converging too early.
        decay: updates over which that falls linearly to 0.
    """

    def __init__(
        self, mean: Tensor, population: int, sigma: float, elite_frac: float, extra_std: float, decay: int
    ) -> None:
        super().__init__(mean, population, sigma)
        self.elite, self.extra_std, self.decay = max(2, round(elite_frac * population)), extra_std, decay
        self.std, self.updates = torch.full_like(mean, sigma), 0

    def sample(self) -> Tensor:
        extra = self.extra_std * max(0.0, 1 - self.updates / self.decay)
        std = (self.std.square() + extra**2).sqrt()
        return self.mean + std * self.mean.new_empty(self.population, len(self.mean)).normal_()

    def update(self, weights: Tensor, fitness: Tensor) -> None:
        best = weights[fitness.topk(self.elite).indices]
        self.mean.copy_(best.mean(0))
        self.std, self.updates = best.std(0, correction=0), self.updates + 1

    def state(self) -> dict[str, Any]:
        return {"std": self.std.clone(), "updates": self.updates}

    def load(self, state: dict[str, Any]) -> None:
        self.std, self.updates = state["std"], state["updates"]


class EvolutionStrategy(Sampler):
    """Mirrored samples of a fixed standard deviation; the mean's gradient is set, and an optimiser has to follow it.

    The gradient is that of the expected rank of the fitness, so its scale does not matter.
    """

    def sample(self) -> Tensor:
        half = self.mean.new_empty(self.population // 2, len(self.mean)).normal_()
        return self.mean + self.sigma * torch.cat([half, -half])

    def update(self, weights: Tensor, fitness: Tensor) -> None:
        ranks = fitness.argsort().argsort().float() / (len(fitness) - 1) - 0.5
        noise = (weights - self.mean) / self.sigma
        self.mean.grad = -(ranks @ noise) / (len(fitness) * self.sigma)


class CMAES(Sampler):
    """A full covariance matrix that adapts to the steps that were good."""

    def __init__(self, mean: Tensor, population: int, sigma: float) -> None:
        super().__init__(mean, population, sigma)
        self.search = CMA(mean=mean.double().cpu().numpy(), sigma=sigma, population_size=population)

    def sample(self) -> Tensor:
        self.search.reseed_rng(int(torch.randint(2**31, ())))  # so that nothing of its generator has to be kept
        return torch.from_numpy(np.stack([self.search.ask() for _ in range(self.population)])).to(self.mean)

    def update(self, weights: Tensor, fitness: Tensor) -> None:
        self.search.tell(list(zip(weights.double().cpu().numpy(), (-fitness).tolist(), strict=True)))
        self.load(self.state())  # one triangle of the covariance: what a resumed run has, to the last bit
        self.mean.copy_(torch.from_numpy(self.search.mean))

    def state(self) -> dict[str, Any]:
        state = self.search.__getstate__()  # everything but its generator
        return {name: torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else _plain(value)
                for name, value in state.items()}  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        self.search.__setstate__(
            {name: value.cpu().numpy().copy() if isinstance(value, Tensor) else value for name, value in state.items()}
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
