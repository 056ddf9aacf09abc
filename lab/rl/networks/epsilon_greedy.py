"""Exploration among discrete actions: mostly the one of the greatest value, with a small probability any."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lab.rl.networks.exploration import Act, ExplorationPolicy
from lab.rl.networks.normalization import ObservationNorm
from lab.rl.networks.q_network import QNetwork


class FallingEpsilon(ExplorationPolicy):
    """A policy with a probability `epsilon` of a random action that falls linearly.

    Args:
        first: at the beginning, from 0 to 1.
        last: at the end of the fall, and from then on.
        fraction: part of the run in which it falls, above 0 and to 1.
        norm: normalises observations for the network.
    """

    epsilon: Tensor

    def __init__(self, first: float, last: float, fraction: float, norm: ObservationNorm | None = None) -> None:
        super().__init__(norm)
        self.first, self.last, self.fraction = first, last, fraction
        self.register_buffer("epsilon", torch.tensor(first))

    def anneal(self, done: int, total: int) -> None:
        """Sets the probability of a run that has done so many of its steps."""
        self.epsilon.fill_(self.first + (self.last - self.first) * min(1.0, done / (self.fraction * total)))


class EpsilonGreedy(FallingEpsilon):
    """With probability `epsilon` a uniform action, else the greedy one, under fresh noise if the network is noisy.

    >>> policy = EpsilonGreedy(QNetwork(4, 2, hidden=[16]), lambda values: values[..., 0], num_actions=2, first=0.1)
    >>> policy(TensorDict({"observation": torch.zeros(8, 4)}, [8]))["action"].shape
    torch.Size([8])

    Args:
        network: observation (..., O) -> (..., A, N).
        action_values: output of `network` (..., A, N) -> values (..., A).
        num_actions: number of discrete actions.
        first, last, fraction, norm: as `FallingEpsilon` has them.
    """

    def __init__(
        self,
        network: QNetwork,
        action_values: Callable[[Tensor], Tensor],
        num_actions: int,
        first: float,
        last: float = 0.0,
        fraction: float = 1.0,
        norm: ObservationNorm | None = None,
    ) -> None:
        super().__init__(first, last, fraction, norm)
        self.network, self.action_values, self.num_actions = network, action_values, num_actions

    def noise(self, *shape: int) -> Tensor:
        """A random action, or -1 for the greedy one, and the network's noise, of which each step has one."""
        device = self.epsilon.device
        chosen = torch.randint(self.num_actions, (*shape, 1), device=device)
        explores = torch.rand(*shape, 1, device=device) < self.epsilon
        weights = torch.randn(*shape, self.network.noise_size, device=device)
        order = torch.rand(*shape, self.num_actions if self.network.masked else 0, device=device)
        return torch.cat([torch.where(explores, chosen, -1), weights, order], -1)

    def actor(self) -> Act:
        network, values, noisy = self.network.as_function(), self.action_values, self.network.noise_size > 0
        masked, splits = self.network.masked, [1, self.network.noise_size]
        normalize = self.normalization()

        def act(observation: Tensor, noise: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001
            weights = noise[..., 1 : sum(splits)].flatten(0, -2)[0] if noisy else None
            chosen = noise[..., 0].long()
            found = values(network(normalize(observation), weights))
            greedy = self.network.greedy(found, observation)
            if masked:  # a random action has to be valid: the first valid one in a random order
                order = noise[..., sum(splits) :]
                chosen = torch.where(chosen < 0, chosen, self.network.greedy(order, observation))
            action = torch.where(chosen < 0, greedy, chosen)
            return action, action

        return act
