"""A stochastic policy as it is evaluated: actions that are drawn, and are the same each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lab.rl.networks.policies import Policy


class SamplingPolicy:
    """Draws actions (B, A), or (B,) of discrete ones, from the distributions for observations (B, O).

    The random numbers of an episode depend on its number and on nothing else, so that a second evaluation draws the
    same ones, however many episodes are played side by side, and training draws what it would without.

    >>> from lab.rl.networks.policies import CategoricalPolicy
    >>> policy = CategoricalPolicy(4, {"count": 3}, hidden=[16])
    >>> sampling = SamplingPolicy(policy, policy)
    >>> sampling.follow([0, 1])
    >>> sampling(torch.zeros(2, 4)).shape
    torch.Size([2])

    Args:
        policy: its distributions.
        parameters: observations (B, O) -> the parameters (B, P) of `policy`.
    """

    def __init__(self, policy: Policy, parameters: Callable[[Tensor], Tensor]) -> None:
        self.policy, self.parameters = policy, parameters
        self.episodes: list[int] = []
        self.generators: dict[int, torch.Generator] = {}

    def follow(self, episodes: Sequence[int]) -> None:
        """The rows of the next observations are of these episodes."""
        self.episodes = list(episodes)

    def __call__(self, observation: Tensor) -> Tensor:
        device = observation.device
        for episode in self.episodes:
            if episode not in self.generators:
                self.generators[episode] = torch.Generator(device).manual_seed(episode)
        noise = torch.cat([self.policy.noise(1, generator=self.generators[each]) for each in self.episodes])
        return self.policy.env_action(self.policy.sample(self.parameters(observation), noise))
