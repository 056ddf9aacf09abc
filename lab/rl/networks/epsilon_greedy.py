"""Exploration among discrete actions: mostly the one of the greatest value, with a small probability any."""

from __future__ import annotations

from collections.abc import Callable

import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torch import Tensor

from lab.rl.networks.q_network import QNetwork


class EpsilonGreedy(TensorDictModuleBase):
    """With probability `epsilon` a uniform action, else the greedy one, under fresh noise if the network is noisy.

    One module that reads and writes a single key, for the reason in `lab.rl.networks.exploration`.

    >>> policy = EpsilonGreedy(QNetwork(4, 2, hidden=[16]), lambda values: values[..., 0], num_actions=2, epsilon=0.1)
    >>> policy(TensorDict({"observation": torch.zeros(8, 4)}, [8]))["action"].shape
    torch.Size([8])

    Args:
        network: observation (..., O) -> (..., A, N).
        action_values: output of `network` (..., A, N) -> values (..., A).
        num_actions: number of discrete actions.
        epsilon: the first probability, from 0 to 1; later ones are written into the buffer.
    """

    in_keys: tuple[str, ...] = ("observation",)
    out_keys: tuple[str, ...] = ("action",)
    epsilon: Tensor

    def __init__(
        self, network: QNetwork, action_values: Callable[[Tensor], Tensor], num_actions: int, epsilon: float
    ) -> None:
        super().__init__()
        self.network, self.action_values, self.num_actions = network, action_values, num_actions
        self.register_buffer("epsilon", torch.tensor(epsilon))

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        observation = tensordict.get("observation")
        noise = torch.randn(self.network.noise_size, device=observation.device) if self.network.noise_size else None
        greedy = self.action_values(self.network(observation, noise)).argmax(-1)  # (...)
        random = torch.rand(greedy.shape, device=greedy.device) < self.epsilon
        tensordict.set("action", torch.where(random, torch.randint_like(greedy, self.num_actions), greedy))
        return tensordict
