"""Values of actions from all that was observed in an episode, and exploration by them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lab.networks import MLP
from lab.rl.envs.observations import ObservationSize
from lab.rl.networks.epsilon_greedy import FallingEpsilon
from lab.rl.networks.exploration import Act
from lab.rl.networks.memory import Memory, MemoryCell
from lab.rl.networks.normalization import ObservationNorm


class RecurrentQNetwork(nn.Module):
    """Sequences of observations (B, T, O) and a state (B, S) -> values (B, T, A) and the state after them.

    >>> network = RecurrentQNetwork(3, 2, "gru", memory_size=16, hidden=[16])
    >>> values, state = network(torch.zeros(4, 5, 3), torch.zeros(4, 16))
    >>> values.shape, state.shape
    (torch.Size([4, 5, 2]), torch.Size([4, 16]))

    Args:
        observation_size: what an observation is; the length O of a vector.
        num_actions: A.
        cell: `lstm` or `gru`.
        memory_size: size of the memory's output.
        hidden: widths of the hidden layers behind it.
    """

    def __init__(
        self,
        observation_size: ObservationSize,
        num_actions: int,
        cell: MemoryCell,
        memory_size: int,
        hidden: Sequence[int],
    ) -> None:
        super().__init__()
        self.memory = Memory(observation_size, cell, memory_size)
        self.head = MLP(memory_size, hidden, num_actions)

    def forward(self, observation: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        outputs, state = self.memory(observation, state)
        return self.head(outputs), state


class RecurrentEpsilonGreedy(FallingEpsilon):
    """With probability `epsilon` a uniform action, else the greedy one after all that was observed in the episode.

    The states of the memory, one row for each environment, belong to the collection, whose state a checkpoint holds.

    >>> network = RecurrentQNetwork(3, 2, "gru", memory_size=16, hidden=[16])
    >>> policy = RecurrentEpsilonGreedy(network, num_actions=2, num_envs=8, first=0.1)
    >>> policy(TensorDict({"observation": torch.zeros(8, 3), "is_init": torch.ones(8, 1).bool()}, [8]))["action"].shape
    torch.Size([8])

    Args:
        network: what has the values.
        num_actions: number of discrete actions.
        num_envs: environments that collect.
        first, last, fraction, norm: as `FallingEpsilon` has them.
    """

    in_keys: tuple[str, ...] = ("observation", "is_init")
    state: Tensor

    def __init__(
        self,
        network: RecurrentQNetwork,
        num_actions: int,
        num_envs: int,
        first: float,
        last: float = 0.0,
        fraction: float = 1.0,
        norm: ObservationNorm | None = None,
    ) -> None:
        super().__init__(first, last, fraction, norm)
        self.network, self.num_actions = network, num_actions
        self.register_buffer("state", torch.zeros(num_envs, network.memory.state_size), persistent=False)
        self.visited: list[Tensor] = []  # the states (N, S) before each step of the latest block

    def noise(self, *shape: int) -> Tensor:
        """A random action, or -1 for the greedy one."""
        chosen = torch.randint(self.num_actions, shape, device=self.epsilon.device)
        return torch.where(torch.rand(shape, device=self.epsilon.device) < self.epsilon, chosen, -1)

    def actor(self) -> Act:
        network, normalize, self.visited = self.network, self.normalization(), []

        def act(observation: Tensor, noise: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor]:
            state = self.state * ~is_init.unsqueeze(-1)
            self.visited.append(state)
            seen = observation.to(state.dtype) if observation.is_floating_point() else observation
            values, state = network(normalize(seen).unsqueeze(1), state)
            self.state.copy_(state)
            action = torch.where(noise < 0, values.squeeze(1).argmax(-1), noise)
            return action, action

        return act
