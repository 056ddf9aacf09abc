"""Exploration with continuous actions: an actor's action with noise, or a sample of a stochastic policy.

Each is a torchrl policy, which reads and writes a TensorDict, and for a block of steps a plain function of observations
and of random numbers that are drawn beforehand (`noise`, `actor`), as `ArrayCollector` calls it: passing a TensorDict
through modules takes longer than to compute one action.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torch import Tensor, nn

from lab.networks import as_function
from lab.rl.envs.spaces import ContinuousSpec
from lab.rl.networks.actor_critic import GaussianActor
from lab.rl.networks.normalization import ObservationNorm

Act = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class ExplorationPolicy(TensorDictModuleBase):
    """A policy that reads `observation` (..., O) and writes `action`.

    Args:
        norm: normalises observations for the network; by default it sees them as they are.
    """

    in_keys: tuple[str, ...] = ("observation",)
    out_keys: tuple[str, ...] = ("action",)

    def __init__(self, norm: ObservationNorm | None = None) -> None:
        super().__init__()
        self.norm = norm

    def normalization(self) -> Callable[[Tensor], Tensor]:
        """From observations to what the network sees, by the present statistics."""
        return self.norm.as_function() if self.norm is not None else lambda observation: observation

    @abstractmethod
    def noise(self, *shape: int) -> Tensor:
        """The random numbers for so many actions, from torch's global generator."""

    @abstractmethod
    def actor(self) -> Act:
        """The present policy as a function, for one block of steps.

        It takes observations (N, O), their `noise`, and whether each begins an episode (N,); it returns actions to
        learn from, and those that go to the environments, which are the same here.
        """

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        observation = tensordict.get("observation")
        starts = tensordict.get("is_init").squeeze(-1) if "is_init" in self.in_keys else torch.zeros(0)
        action, _ = self.actor()(observation, self.noise(*tensordict.batch_size), starts)
        tensordict.set("action", action)
        return tensordict


class GaussianNoise(ExplorationPolicy):
    """action = clamp(actor(observation) + sigma * half_range * N(0, 1)).

    Environments speak in single precision, and the actor is asked in its own.

    >>> noisy = GaussianNoise(nn.Linear(3, 1), {"low": [-2.0], "high": [2.0]}, sigma=0.1)
    >>> noisy(TensorDict({"observation": torch.zeros(8, 3)}, [8]))["action"].shape
    torch.Size([8, 1])

    Args:
        actor: observation (..., O) -> action (..., A).
        action: bounds of the action.
        sigma: standard deviation, from 0, as a fraction of half the action's range.
        norm: normalises observations for the actor.
    """

    low: Tensor
    high: Tensor
    scale: Tensor

    def __init__(
        self, actor: nn.Module, action: ContinuousSpec, sigma: float, norm: ObservationNorm | None = None
    ) -> None:
        super().__init__(norm)
        self.network = actor
        low, high = torch.tensor(action["low"]), torch.tensor(action["high"])
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)
        self.register_buffer("scale", sigma * (high - low) / 2, persistent=False)

    def noise(self, *shape: int) -> Tensor:
        return torch.randn(*shape, *self.scale.shape, dtype=self.scale.dtype, device=self.scale.device) * self.scale

    def actor(self) -> Act:
        network, normalize = as_function(self.network), self.normalization()
        low, high, dtype = self.low, self.high, self.low.dtype

        def act(observation: Tensor, noise: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor]:
            around = self.around(noise, is_init)
            action = torch.clamp(network(normalize(observation.to(dtype))) + around, low, high).to(torch.float32)
            return action, action

        return act

    def around(self, noise: Tensor, is_init: Tensor) -> Tensor:  # noqa: ARG002 - the seam for other noises
        """The noise that is added to the actor's actions."""
        return noise


class OrnsteinUhlenbeckNoise(GaussianNoise):
    """Correlated noise: x += theta * (0 - x) * dt + sigma * sqrt(dt) * N(0, 1), started at 0 in every episode.

    Source: Lillicrap et al. 2016 (DDPG), with theta = 0.15; dt is one environment step. `sigma` is a fraction of half
    the action's range. The state `x`, one row for each environment, belongs to the collection, whose state a
    checkpoint holds.

    >>> OrnsteinUhlenbeckNoise(nn.Linear(3, 1), {"low": [-2.0], "high": [2.0]}, sigma=0.1).state
    tensor([0.])
    """

    in_keys: tuple[str, ...] = ("observation", "is_init")
    state: Tensor

    def __init__(
        self,
        actor: nn.Module,
        action: ContinuousSpec,
        sigma: float,
        norm: ObservationNorm | None = None,
        theta: float = 0.15,
        dt: float = 1.0,
    ) -> None:
        super().__init__(actor, action, sigma, norm)
        self.theta, self.dt = theta, dt
        self.register_buffer("state", torch.zeros(len(action["low"])), persistent=False)

    def around(self, noise: Tensor, is_init: Tensor) -> Tensor:
        previous = self.state * ~is_init.unsqueeze(-1)
        self.state = previous * (1 - self.theta * self.dt) + noise * math.sqrt(self.dt)
        return self.state


Noise = Literal["gaussian", "ornstein_uhlenbeck"]
NOISES: dict[Noise, type[GaussianNoise]] = {"gaussian": GaussianNoise, "ornstein_uhlenbeck": OrnsteinUhlenbeckNoise}


class StochasticExploration(ExplorationPolicy):
    """Samples the action (..., A) from a Gaussian policy of observations (..., O).

    >>> explore = StochasticExploration(GaussianActor(3, {"low": [-2.0], "high": [2.0]}, hidden=[16]))
    >>> explore(TensorDict({"observation": torch.zeros(8, 3)}, [8]))["action"].shape
    torch.Size([8, 1])
    """

    def __init__(self, actor: GaussianActor, norm: ObservationNorm | None = None) -> None:
        super().__init__(norm)
        self.network = actor

    def noise(self, *shape: int) -> Tensor:
        scale = self.network.scale
        return torch.randn(*shape, *scale.shape, dtype=scale.dtype, device=scale.device)

    def actor(self) -> Act:
        explore, normalize, dtype = self.network.explorer(), self.normalization(), self.network.scale.dtype

        def act(observation: Tensor, noise: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001
            action = explore(normalize(observation.to(dtype)), noise).to(torch.float32)
            return action, action

        return act
