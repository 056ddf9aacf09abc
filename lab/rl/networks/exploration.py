"""Exploration with continuous actions: an actor's action with noise, or a sample of a stochastic policy.

torchrl's own noise modules cost several TensorDict passes per environment step: collection with them took 566 us a
step, and 215-250 us with one module that reads and writes a single key (Pendulum, one core with AVX-512).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torch import Tensor, nn

from lab.rl.envs.spaces import ContinuousSpec
from lab.rl.networks.actor_critic import GaussianActor


class GaussianNoise(TensorDictModuleBase):
    """action = clamp(actor(observation) + sigma * half_range * N(0, 1)).

    Environments speak in single precision, and the actor is asked in its own.

    >>> noisy = GaussianNoise(nn.Linear(3, 1), {"low": [-2.0], "high": [2.0]}, sigma=0.1)
    >>> noisy(TensorDict({"observation": torch.zeros(8, 3)}, [8]))["action"].shape
    torch.Size([8, 1])

    Args:
        actor: observation (..., O) -> action (..., A).
        action: bounds of the action.
        sigma: standard deviation, from 0, as a fraction of half the action's range.
    """

    in_keys: tuple[str, ...] = ("observation",)
    out_keys: tuple[str, ...] = ("action",)
    low: Tensor
    high: Tensor
    scale: Tensor

    def __init__(self, actor: nn.Module, action: ContinuousSpec, sigma: float) -> None:
        super().__init__()
        self.actor = actor
        low, high = torch.tensor(action["low"]), torch.tensor(action["high"])
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)
        self.register_buffer("scale", sigma * (high - low) / 2, persistent=False)

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        observation = tensordict.get("observation")
        action = self.actor(observation.to(self.low.dtype))
        action = torch.clamp(action + self.noise(tensordict, action), self.low, self.high)
        tensordict.set("action", action.to(observation.dtype))
        return tensordict

    def noise(self, tensordict: TensorDictBase, action: Tensor) -> Tensor:  # noqa: ARG002 - the seam for other noises
        return torch.randn_like(action) * self.scale


class OrnsteinUhlenbeckNoise(GaussianNoise):
    """Correlated noise: x += theta * (0 - x) * dt + sigma * sqrt(dt) * N(0, 1), started at 0 in every episode.

    Source: Lillicrap et al. 2016 (DDPG), with theta = 0.15; dt is one environment step. `sigma` is a fraction of half
    the action's range. The state `x` is a buffer, so that a checkpoint holds it.

    >>> OrnsteinUhlenbeckNoise(nn.Linear(3, 1), {"low": [-2.0], "high": [2.0]}, sigma=0.1).state
    tensor([0.])
    """

    in_keys: tuple[str, ...] = ("observation", "is_init")
    state: Tensor

    def __init__(
        self, actor: nn.Module, action: ContinuousSpec, sigma: float, theta: float = 0.15, dt: float = 1.0
    ) -> None:
        super().__init__(actor, action, sigma)
        self.theta, self.dt = theta, dt
        self.register_buffer("state", torch.zeros(len(action["low"])))

    def noise(self, tensordict: TensorDictBase, action: Tensor) -> Tensor:
        previous = self.state * ~tensordict.get("is_init")
        self.state = previous * (1 - self.theta * self.dt) + torch.randn_like(action) * self.scale * math.sqrt(self.dt)
        return self.state


Noise = Literal["gaussian", "ornstein_uhlenbeck"]
NOISES: dict[Noise, type[GaussianNoise]] = {"gaussian": GaussianNoise, "ornstein_uhlenbeck": OrnsteinUhlenbeckNoise}


class StochasticExploration(TensorDictModuleBase):
    """Samples the action (..., A) from a Gaussian policy of observations (..., O).

    >>> explore = StochasticExploration(GaussianActor(3, {"low": [-2.0], "high": [2.0]}, hidden=[16]))
    >>> explore(TensorDict({"observation": torch.zeros(8, 3)}, [8]))["action"].shape
    torch.Size([8, 1])
    """

    in_keys: tuple[str, ...] = ("observation",)
    out_keys: tuple[str, ...] = ("action",)

    def __init__(self, actor: GaussianActor) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        observation = tensordict.get("observation")
        action = self.actor.explore(observation.to(self.actor.scale.dtype))
        tensordict.set("action", action.to(observation.dtype))
        return tensordict
