"""Networks shared by the algorithms for continuous actions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchrl.modules import MLP

from lab.rl.envs.spaces import ContinuousSpec, vector_size

LAST = 3e-3  # half-width of the last layer's first weights, as in Lillicrap et al. 2016
LOG_DEVIATIONS = (-20.0, 2.0)  # limits of a Gaussian policy, those of Haarnoja et al.'s code
HALF_LOG_TWO_PI = math.log(2 * math.pi) / 2


class Actor(nn.Module):
    """A deterministic policy: observation (..., O) -> action (..., A), squashed by tanh into the action's bounds."""

    center: Tensor
    scale: Tensor

    def __init__(self, observation_size: int, action: ContinuousSpec, hidden: Sequence[int]) -> None:
        super().__init__()
        low, high = torch.tensor(action["low"]), torch.tensor(action["high"])
        inputs = vector_size(observation_size)
        self.net = MLP(in_features=inputs, out_features=len(low), num_cells=hidden, activation_class=nn.ReLU)
        _start_small(self.net)
        self.register_buffer("center", (high + low) / 2, persistent=False)
        self.register_buffer("scale", (high - low) / 2, persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        return self.center + self.scale * torch.tanh(self.net(observation))


class Critic(nn.Module):
    """A state-action value: observation (..., O), action (..., A) -> value (..., 1)."""

    def __init__(self, observation_size: int, action_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.net = MLP(
            in_features=observation_size + action_size, out_features=1, num_cells=hidden, activation_class=nn.ReLU
        )
        _start_small(self.net)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        value: Tensor = self.net(torch.cat([observation, action], -1))
        return value


class Critics(nn.Module):
    """Several state-action values at once: observation (B, O), action (B, A) -> values (count, B, outputs).

    Each has its own weights, which lie in one tensor per layer, so that a layer of all critics is one call: two
    (64, 64) critics on 128 samples take the calls of one.
    """

    def __init__(
        self, observation_size: int, action_size: int, hidden: Sequence[int], count: int, outputs: int = 1
    ) -> None:
        super().__init__()
        widths = [observation_size + action_size, *hidden, outputs]
        bounds = [width**-0.5 for width in widths[:-2]] + [LAST]  # torch's own first weights of a layer; the last small
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, neurons, bound in zip(widths, widths[1:], bounds, strict=False):
            self.weights.append(nn.init.uniform_(torch.empty(count, inputs, neurons), -bound, bound))
            self.biases.append(nn.init.uniform_(torch.empty(count, 1, neurons), -bound, bound))

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        values = torch.cat([observation, action], -1).expand(len(self.weights[0]), -1, -1)  # (count, B, O + A)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = torch.relu(torch.baddbmm(bias, values, weight))
        return torch.baddbmm(self.biases[-1], values, self.weights[-1])


class GaussianActor(nn.Module):
    """A stochastic policy: a Gaussian with a mean and a deviation for each action, squashed by tanh into the bounds.

    Densities are those of the action scaled to [-1, 1], so that entropies do not depend on the action's unit.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, observation_size: int, action: ContinuousSpec, hidden: Sequence[int]) -> None:
        super().__init__()
        low, high = torch.tensor(action["low"]), torch.tensor(action["high"])
        inputs = vector_size(observation_size)
        self.net = MLP(in_features=inputs, out_features=2 * len(low), num_cells=hidden, activation_class=nn.ReLU)
        _start_small(self.net)
        self.register_buffer("center", (high + low) / 2, persistent=False)
        self.register_buffer("scale", (high - low) / 2, persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        """The greedy action (..., A), the squashed mean, for observations (..., O)."""
        return self.center + self.scale * torch.tanh(self._gaussian(observation)[0])

    def explore(self, observation: Tensor) -> Tensor:
        """An action (..., A) drawn from the policy, without its density."""
        mean, log_deviation = self._gaussian(observation)
        return self.center + self.scale * torch.tanh(mean + log_deviation.exp() * torch.randn_like(mean))

    def sample(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Action (..., A) and log-density (..., 1) that standard normal `noise` (..., A) gives; both have gradients."""
        mean, log_deviation = self._gaussian(observation)
        raw = mean + log_deviation.exp() * noise
        log_density = -0.5 * noise.square() - log_deviation - HALF_LOG_TWO_PI - log_slope(raw)
        return self.center + self.scale * torch.tanh(raw), log_density.sum(-1, keepdim=True)

    def _gaussian(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_deviation = self.net(observation).float().chunk(2, -1)
        return mean, log_deviation.clamp(*LOG_DEVIATIONS)


def log_slope(raw: Tensor) -> Tensor:
    """log(1 - tanh(raw)^2), also where tanh rounds to 1 (from 9 on): 2 (log 2 - raw - softplus(-2 raw))."""
    return 2 * (math.log(2) - raw - F.softplus(-2 * raw))


def _start_small(net: MLP) -> None:
    """First actions in the middle of their range, where tanh has a slope, and first values near zero."""
    last = net[-1]
    nn.init.uniform_(last.weight, -LAST, LAST)
    nn.init.uniform_(last.bias, -LAST, LAST)
