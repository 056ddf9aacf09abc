"""SimBa: actor and critics whose hidden layers are residual blocks, which stay trainable when they are wide and deep.

Source: Lee et al. 2025, "SimBa: simplicity bias for scaling up parameters in deep reinforcement learning". A linear
layer, blocks of layer normalisation, a layer of four times the width, ReLU and a layer back, added to the input; a last
layer normalisation and a linear layer. Deviations: the last layers begin near 0, as those of the other networks here,
and weights do not decay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.rl.envs.observations import ObservationSize
from lab.rl.networks.actor_critic import LAST_LAYER_BOUND, Critics, GaussianActor, init_last_layer

EXPANSION = 4  # width of a block inside, in widths of the block


class SimbaActor(GaussianActor):
    """As `GaussianActor`, with residual blocks.

    >>> SimbaActor(3, {"low": [-2.0], "high": [2.0]}, hidden=[16, 16])(torch.zeros(8, 3)).shape
    torch.Size([8, 1])

    Args:
        observation_size: what an observation is; the length O of a vector.
        action: bounds of the action, A of each.
        hidden: width of each block; all are the same.
    """

    def _net(self, hidden: Sequence[int], outputs: int) -> Callable[[int], nn.Module]:
        return lambda inputs: Simba(inputs, hidden, outputs)


class Simba(nn.Sequential):
    """Features (..., in_features) -> (..., out_features).

    >>> Simba(3, [16, 16], 2)(torch.zeros(8, 3)).shape
    torch.Size([8, 2])

    Args:
        in_features: size of the input.
        hidden: width of each block; all are the same.
        out_features: size of the output.
    """

    def __init__(self, in_features: int, hidden: Sequence[int], out_features: int) -> None:
        width = width_of_blocks(hidden)
        first, last = nn.Linear(in_features, width), nn.Linear(width, out_features)
        super().__init__(first, *(Block(width) for _ in hidden), nn.LayerNorm(width), last)
        nn.init.orthogonal_(first.weight)
        nn.init.zeros_(first.bias)
        init_last_layer(last)


class Block(nn.Module):
    """Numbers (..., width) -> the same plus what two layers say of them, (..., width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, EXPANSION * width), nn.Linear(EXPANSION * width, width)
        for layer in (self.up, self.down):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.down(F.relu(self.up(self.norm(features))))
        return features + change


class SimbaCritics(Critics):
    """As `Critics`, with residual blocks.

    >>> SimbaCritics(3, 1, hidden=[16, 16], num_critics=2)(torch.zeros(8, 3), torch.zeros(8, 1)).shape
    torch.Size([2, 8, 1])

    Args:
        observation_size: what an observation is; the length O of a vector.
        action_size: numbers of an action, A.
        hidden: width of each block; all are the same.
        num_critics: how many, from 1.
    """

    def __init__(
        self, observation_size: ObservationSize, action_size: int, hidden: Sequence[int], num_critics: int
    ) -> None:
        width = width_of_blocks(hidden)
        super().__init__(observation_size, action_size, hidden, num_critics, layer_norm=True)
        self.gains.append(torch.ones(num_critics, 1, width))  # before the last layer
        self.shifts.append(torch.zeros(num_critics, 1, width))

    def _shapes(self, widths: Sequence[int]) -> list[tuple[int, int]]:
        inputs, *hidden, outputs = widths
        blocks = [pair for width in hidden for pair in ((width, EXPANSION * width), (EXPANSION * width, width))]
        return [(inputs, hidden[0]), *blocks, (hidden[-1], outputs)]

    @torch.no_grad()
    def _init_weights(self) -> None:
        first, *inner, last = self.weights
        for number in range(len(first)):
            nn.init.orthogonal_(first[number])
            for weight in inner:
                nn.init.kaiming_normal_(weight[number].T)
        for each in (last, self.biases[-1]):
            nn.init.uniform_(each, -LAST_LAYER_BOUND, LAST_LAYER_BOUND)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        (first, *inner, last), (first_bias, *biases, last_bias) = list(self.weights), list(self.biases)
        values = torch.baddbmm(first_bias, self._inputs(observation, action), first)
        for block in range(len(inner) // 2):
            up, down = 2 * block, 2 * block + 1
            change = torch.relu_(torch.baddbmm(biases[up], self._normalized(values, block), inner[up]))
            values = values + torch.baddbmm(biases[down], change, inner[down])
        return self._outputs(self._normalized(values, -1), last, last_bias)


def width_of_blocks(hidden: Sequence[int]) -> int:
    """
    Raises:
        BadSetting: there is no block, or they have different widths.
    """
    if len(set(hidden)) != 1:
        raise BadSetting("hidden", f"simba has blocks of one width, such as [256, 256]; found {list(hidden)}")
    return hidden[0]
