"""Networks shared by the algorithms for continuous actions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchrl.modules import MLP

from lab.rl.environment import Box

LAST = 3e-3  # half-width of the last layer's first weights, as in Lillicrap et al. 2016


class Actor(nn.Module):
    """A deterministic policy: observation (..., O) -> action (..., A), squashed by tanh into the action's bounds."""

    center: Tensor
    scale: Tensor

    def __init__(self, observation_size: int, action: Box, hidden: Sequence[int]) -> None:
        super().__init__()
        low, high = torch.tensor(action["low"]), torch.tensor(action["high"])
        self.net = MLP(in_features=observation_size, out_features=len(low), num_cells=hidden, activation_class=nn.ReLU)
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


def _start_small(net: MLP) -> None:
    """First actions in the middle of their range, where tanh has a slope, and first values near zero."""
    last = net[-1]
    nn.init.uniform_(last.weight, -LAST, LAST)
    nn.init.uniform_(last.bias, -LAST, LAST)
