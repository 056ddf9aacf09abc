"""Networks shared by the algorithms for continuous actions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.networks import MLP, as_function, upcast, without_autocast
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ContinuousSpec
from lab.rl.networks.encoder import Encoder, encoded

LAST_LAYER_BOUND = 3e-3  # its first weights are uniform within it, as in Lillicrap et al. 2016
LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0  # of a Gaussian policy, those of Haarnoja et al.'s code
HALF_LOG_TWO_PI = math.log(2 * math.pi) / 2


class SquashedActor(nn.Module):
    """The network of a policy whose actions are squashed by tanh into their bounds."""

    center: Tensor
    scale: Tensor
    outputs_per_action = 1

    def __init__(self, observation_size: ObservationSize, action: ContinuousSpec, hidden: Sequence[int]) -> None:
        super().__init__()
        low, high = torch.tensor(action["low"]), torch.tensor(action["high"])
        self.net = encoded(observation_size, self._net(hidden, self.outputs_per_action * len(low)))
        self.register_buffer("center", (high + low) / 2, persistent=False)
        self.register_buffer("scale", (high - low) / 2, persistent=False)

    def _net(self, hidden: Sequence[int], outputs: int) -> Callable[[int], nn.Module]:
        def make(width: int) -> MLP:
            net = MLP(width, hidden, outputs)
            init_last_layer(net[-1])
            return net

        return make

    def squash(self, raw: Tensor) -> Tensor:
        """Any numbers (..., A) -> actions within their bounds."""
        return self.center + self.scale * torch.tanh(raw)


class Actor(SquashedActor):
    """A deterministic policy: observation (..., O) -> action (..., A), squashed by tanh into the action's bounds.

    >>> Actor(3, {"low": [-2.0], "high": [2.0]}, hidden=[16])(torch.zeros(8, 3)).shape
    torch.Size([8, 1])

    Args:
        observation_size: what an observation is; the length O of a vector.
        action: bounds of the action, A of each.
        hidden: widths of the hidden layers.
    """

    def forward(self, observation: Tensor) -> Tensor:
        return self.squash(self.net(observation))

    def as_function(self) -> Callable[[Tensor], Tensor]:
        """The present network as a plain function, for many calls with few rows."""
        net, center, scale = as_function(self.net), self.center, self.scale
        return lambda observation: torch.addcmul(center, scale, torch.tanh(net(observation)))


class Critic(nn.Module):
    """A state-action value: observation (..., O), action (..., A) -> value (..., 1).

    >>> Critic(3, 1, hidden=[16])(torch.zeros(8, 3), torch.zeros(8, 1)).shape
    torch.Size([8, 1])

    Args:
        observation_size: what an observation is; the length O of a vector.
        action_size: numbers of an action, A.
        hidden: widths of the hidden layers.
    """

    def __init__(self, observation_size: ObservationSize, action_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.encoder, size = _encoder(observation_size)
        self.net = MLP(size + action_size, hidden, 1)
        init_last_layer(self.net[-1])

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        features = observation if self.encoder is None else self.encoder(observation)
        value: Tensor = self.net(torch.cat([features, action], -1))
        return value


class Critics(nn.Module):
    """Several state-action values at once: observation (B, O), action (B, A) -> values (num_critics, B, outputs).

    Each has its own weights, which lie in one tensor per layer, so that a layer of all critics is one call: two
    (64, 64) critics on 128 samples take the calls of one.

    >>> Critics(3, 1, hidden=[16], num_critics=2)(torch.zeros(8, 3), torch.zeros(8, 1)).shape
    torch.Size([2, 8, 1])

    Args:
        observation_size: what an observation is; the length O of a vector.
        action_size: numbers of an action, A.
        hidden: widths of the hidden layers.
        num_critics: how many, from 1.
        outputs: numbers of a value, such as its quantiles.
        layer_norm: normalise each hidden layer before its activation.
        dropout: share of a hidden layer's numbers that are dropped in training, before it is normalised.
    """

    def __init__(
        self,
        observation_size: ObservationSize,
        action_size: int,
        hidden: Sequence[int],
        num_critics: int,
        outputs: int = 1,
        layer_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder, size = _encoder(observation_size)  # one for all critics
        shapes = self._shapes([size + action_size, *hidden, outputs])
        self.weights = nn.ParameterList(torch.empty(num_critics, *shape) for shape in shapes)
        self.biases = nn.ParameterList(torch.zeros(num_critics, 1, neurons) for _, neurons in shapes)
        self._init_weights()
        self.dropout = dropout
        normed = hidden if layer_norm else ()
        self.gains = nn.ParameterList(torch.ones(num_critics, 1, width) for width in normed)
        self.shifts = nn.ParameterList(torch.zeros(num_critics, 1, width) for width in normed)

    def _shapes(self, widths: Sequence[int]) -> list[tuple[int, int]]:
        """Inputs and neurons of each layer, given the widths of input, hidden layers and output."""
        return list(itertools.pairwise(widths))

    @torch.no_grad()
    def _init_weights(self) -> None:
        """torch's own first weights of a layer, and small ones in the last."""
        bounds = [*(weight.shape[1] ** -0.5 for weight in self.weights[:-1]), LAST_LAYER_BOUND]
        for weight, bias, bound in zip(self.weights, self.biases, bounds, strict=True):
            weight.uniform_(-bound, bound)
            bias.uniform_(-bound, bound)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        weights, biases = list(self.weights), list(self.biases)  # a slice would be another module, made anew each time
        values = self._inputs(observation, action)
        for layer, (weight, bias) in enumerate(zip(weights[:-1], biases[:-1], strict=True)):
            values = torch.relu_(self._regularized(torch.baddbmm(bias, values, weight), layer))
        return self._outputs(values, weights[-1], biases[-1])

    def _inputs(self, observation: Tensor, action: Tensor) -> Tensor:
        """What the first layer of each critic sees, (num_critics, B, O + A)."""
        features = observation if self.encoder is None else self.encoder(observation)
        return torch.cat([features, action], -1).expand(len(self.weights[0]), -1, -1)

    def _outputs(self, values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The last layer, in the precision of its weights."""
        if weight.shape[2] == 1:  # as a product of matrices it takes six times as long
            single: Tensor = (values * weight.transpose(1, 2)).sum(-1, keepdim=True) + bias
            return single
        with without_autocast(values.device):
            return torch.baddbmm(bias, values.to(weight.dtype), weight)

    def _regularized(self, values: Tensor, layer: int) -> Tensor:
        if self.dropout:
            values = F.dropout(values, self.dropout, self.training)
        return self._normalized(values, layer) if len(self.gains) else values

    def _normalized(self, values: Tensor, layer: int) -> Tensor:
        return torch.addcmul(self.shifts[layer], F.layer_norm(values, values.shape[-1:]), self.gains[layer])


class GaussianActor(SquashedActor):
    """A stochastic policy: a Gaussian with a mean and a deviation for each action, squashed by tanh into the bounds.

    Densities are those of the action scaled to [-1, 1], so that entropies do not depend on the action's unit.

    >>> actor = GaussianActor(3, {"low": [-2.0], "high": [2.0]}, hidden=[16])
    >>> action, log_prob = actor.sample(torch.zeros(8, 3), noise=torch.randn(8, 1))
    >>> action.shape, log_prob.shape
    (torch.Size([8, 1]), torch.Size([8, 1]))

    Args:
        observation_size: what an observation is; the length O of a vector.
        action: bounds of the action, A of each.
        hidden: widths of the hidden layers.
    """

    outputs_per_action = 2

    def forward(self, observation: Tensor) -> Tensor:
        """The greedy action (..., A), the squashed mean, for observations (..., O)."""
        return self.squash(self._gaussian(observation)[0])

    def explorer(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The present policy as a plain function: observations and standard normal noise (..., A) give actions."""
        net, center, scale = as_function(self.net), self.center, self.scale

        def explore(observation: Tensor, noise: Tensor) -> Tensor:
            mean, log_std = net(observation).chunk(2, -1)
            raw = torch.addcmul(mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX).exp(), noise)
            return torch.addcmul(center, scale, torch.tanh(raw))

        return explore

    def sample(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Action (..., A) and log-density (..., 1) that standard normal `noise` (..., A) gives; both have gradients."""
        return self._sample(*self._gaussian(observation), noise)

    def _sample(self, mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        raw = mean + log_std.exp() * noise
        log_prob = -0.5 * noise.square() - log_std - HALF_LOG_TWO_PI - log_tanh_derivative(raw)
        return self.squash(raw), log_prob.sum(-1, keepdim=True)

    def _gaussian(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        return mean_and_log_std(self.net(observation))


def mean_and_log_std(output: Tensor) -> tuple[Tensor, Tensor]:
    """Of an actor's Gaussian, from the output of its network."""
    mean, log_std = upcast(output).chunk(2, -1)
    return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)


def log_tanh_derivative(raw: Tensor) -> Tensor:
    """log(1 - tanh(raw)^2), also where tanh rounds to 1 (from 9 on): 2 (log 2 - raw - softplus(-2 raw))."""
    return 2 * (math.log(2) - raw - F.softplus(-2 * raw))


def init_last_layer(last: nn.Linear) -> None:
    """First actions in the middle of their range, where tanh has a slope, and first values near zero."""
    nn.init.uniform_(last.weight, -LAST_LAYER_BOUND, LAST_LAYER_BOUND)
    nn.init.uniform_(last.bias, -LAST_LAYER_BOUND, LAST_LAYER_BOUND)


def _encoder(observation_size: ObservationSize) -> tuple[Encoder | None, int]:
    """The encoder of a critic and the width of its features; none for vectors."""
    if isinstance(observation_size, int):
        return None, observation_size
    encoder = Encoder(observation_size)
    return encoder, encoder.width
