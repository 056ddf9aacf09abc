"""Policies that draw their actions: from a Gaussian for continuous actions, from a list of chances for discrete ones.

Both have the same methods, on one tensor of parameters per observation, so that an algorithm need not know which one it
trains. Not torch's distributions: making one and asking it for log-probability and entropy of 64 actions takes 99 us
for a Gaussian and 40 us for chances, and 27 and 9 us here (one core), of a few hundred that an update takes.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchrl.modules import MLP

from lab.rl.envs.spaces import ActionSpec, ContinuousSpec, DiscreteSpec, vector_size

SMALL = 0.01  # gain of a policy's last layer: first actions hardly depend on what is observed


class Policy(nn.Module):
    """observation (..., O) -> parameters (..., P) of a distribution over actions."""

    @abstractmethod
    def noise(self, *shape: int) -> Tensor:
        """What `sample` needs for as many actions, from torch's global generator."""

    @abstractmethod
    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """An action."""

    @abstractmethod
    def mode(self, parameters: Tensor) -> Tensor:
        """The likeliest action."""

    @abstractmethod
    def command(self, action: Tensor) -> Tensor:
        """What the environment is told when the policy takes `action`."""

    @abstractmethod
    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """(...)"""

    @abstractmethod
    def entropy(self, parameters: Tensor) -> Tensor:
        """(...)"""

    @abstractmethod
    def divergence(self, old: Tensor, new: Tensor) -> Tensor:
        """Kullback-Leibler divergence KL(old || new) (...)."""


class Gaussian(Policy):
    """Independent normal distributions whose spread does not depend on the observation.

    Actions are in units of half their range, around its middle, so that a first spread of 1 suits every environment.
    They are cut off at the bounds only in the environment: the distribution stays a normal one.

    Args:
        observation_size: length of an observation.
        action: bounds of the action.
        hidden: widths of the hidden layers.
        log_std: logarithm of the first spread.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, observation_size: int, action: ContinuousSpec, hidden: Sequence[int], log_std: float) -> None:
        super().__init__()
        low, high = torch.tensor(action["low"]), torch.tensor(action["high"])
        self.net = network(observation_size, len(low), hidden, SMALL)
        self.log_std = nn.Parameter(torch.full((len(low),), log_std))
        self.register_buffer("center", (high + low) / 2, persistent=False)
        self.register_buffer("scale", (high - low) / 2, persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        mean = self.net(observation)
        return torch.cat([mean, self.log_std.expand_as(mean)], -1)  # (..., 2A)

    def noise(self, *shape: int) -> Tensor:
        return torch.randn(*shape, len(self.log_std), device=self.log_std.device)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        mean, log_std = parameters.chunk(2, -1)
        return mean + log_std.exp() * noise

    def mode(self, parameters: Tensor) -> Tensor:
        return parameters.chunk(2, -1)[0]

    def command(self, action: Tensor) -> Tensor:
        return self.center + self.scale * action.clamp(-1, 1)

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        mean, log_std = parameters.chunk(2, -1)
        distance = (action - mean) * (-log_std).exp()
        return -(0.5 * distance.square() + log_std).sum(-1) - 0.5 * math.log(2 * math.pi) * action.shape[-1]

    def entropy(self, parameters: Tensor) -> Tensor:
        log_std = parameters.chunk(2, -1)[1]
        return (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)

    def divergence(self, old: Tensor, new: Tensor) -> Tensor:
        (mean, log_std), (new_mean, new_log_std) = old.chunk(2, -1), new.chunk(2, -1)
        second = (2 * log_std).exp() + (mean - new_mean).square()  # of an old action around the new mean
        return (new_log_std - log_std + 0.5 * second * (-2 * new_log_std).exp() - 0.5).sum(-1)


class Categorical(Policy):
    """One of several actions; the parameters are the logarithms of their probabilities.

    Args:
        observation_size: length of an observation.
        action: how many actions there are.
        hidden: widths of the hidden layers.
    """

    def __init__(self, observation_size: int, action: DiscreteSpec, hidden: Sequence[int]) -> None:
        super().__init__()
        self.count = action["count"]
        self.net = network(observation_size, self.count, hidden, SMALL)

    def forward(self, observation: Tensor) -> Tensor:
        log_probabilities: Tensor = self.net(observation).log_softmax(-1)
        return log_probabilities

    def noise(self, *shape: int) -> Tensor:
        device = self.net[-1].bias.device
        return -torch.empty(*shape, self.count, device=device).exponential_().log()  # Gumbel

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        return (parameters + noise).argmax(-1)

    def mode(self, parameters: Tensor) -> Tensor:
        return parameters.argmax(-1)

    def command(self, action: Tensor) -> Tensor:
        return action

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        return parameters.gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        return -(parameters.exp() * parameters).sum(-1)

    def divergence(self, old: Tensor, new: Tensor) -> Tensor:
        return (old.exp() * (old - new)).sum(-1)


def policy(observation_size: int, action: ActionSpec, hidden: Sequence[int], log_std: float = 0.0) -> Policy:
    """The policy for such actions, of vectors alone."""
    observation_size = vector_size(observation_size)
    if "low" in action:
        return Gaussian(observation_size, action, hidden, log_std)
    return Categorical(observation_size, action, hidden)


def network(inputs: int, outputs: int, hidden: Sequence[int], gain: float) -> MLP:
    """A perceptron with tanh; weights start orthogonal, with gain sqrt(2) and at the end `gain`, biases at 0.

    Source: Andrychowicz et al. 2021, "What matters for on-policy deep actor-critic methods?"
    """
    net = MLP(in_features=inputs, out_features=outputs, num_cells=list(hidden), activation_class=nn.Tanh)
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gain if layer is layers[-1] else math.sqrt(2))
        nn.init.zeros_(layer.bias)
    return net
