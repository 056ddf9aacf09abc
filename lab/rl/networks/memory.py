"""A memory in front of a network: an LSTM or a GRU over the observations of an episode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lab.errors import BadSetting
from lab.networks import Recurrent
from lab.rl.envs.observations import ObservationSize
from lab.rl.networks.encoder import Encoder

MemoryCell = Literal["lstm", "gru"]


class Memory(nn.Module):
    """Sequences of observations (B, T, O) and a state (B, S) -> outputs (B, T, H) and the state after them.

    The state of a GRU is its output, that of an LSTM its output and its cell side by side; a new episode begins with
    zeros.

    >>> memory = Memory(3, "lstm", 16)
    >>> outputs, state = memory(torch.zeros(2, 5, 3), torch.zeros(2, memory.state_size))
    >>> outputs.shape, state.shape
    (torch.Size([2, 5, 16]), torch.Size([2, 32]))

    Args:
        observation_size: what an observation is; the length O of a vector.
        cell: `lstm` or `gru`.
        size: H.

    Raises:
        BadSetting: observations hold a mask of valid actions, which would not get past the memory.
    """

    def __init__(self, observation_size: ObservationSize, cell: MemoryCell, size: int) -> None:
        super().__init__()
        self.encoder: nn.Module = nn.Identity()
        width = observation_size
        if not isinstance(width, int):
            self.encoder = Encoder(width)
            if self.encoder.layout.mask is not None:
                raise BadSetting("action_masks", "a policy with memory cannot use them; leave it out, or use task=ppo")
            width = self.encoder.width
        self.network, self.is_lstm = Recurrent(width, size, cell), cell == "lstm"
        for name, weights in self.network.named_parameters():
            (nn.init.orthogonal_ if "weight" in name else nn.init.zeros_)(weights)
        self.state_size = size * (2 if self.is_lstm else 1)

    def forward(self, observation: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        layers = state.unsqueeze(0).contiguous()
        inside: Any = tuple(half.contiguous() for half in layers.chunk(2, -1)) if self.is_lstm else layers
        outputs, _, inside = self.network(self.encoder(observation), state=inside)
        return outputs, (torch.cat(inside, -1) if self.is_lstm else inside).squeeze(0)

    def step(self, observation: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The same for single observations (B, O): outputs (B, H)."""
        outputs, state = self(observation.unsqueeze(1), state)
        return outputs.squeeze(1), state

    def unroll(self, observation: Tensor, state: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (T, N, H), and the states (T, N, S) before and after each step.

        Args:
            observation: (T, N, O), time first, through ends of episodes.
            state: before the first step, (N, S).
            is_init: where a step begins an episode, and so with zeros, (T, N).
        """
        outputs, before, after = [], [], []
        for seen, begins in zip(observation, is_init, strict=True):
            before.append(state * ~begins.unsqueeze(-1))
            output, state = self.step(seen, before[-1])
            outputs.append(output)
            after.append(state)
        return torch.stack(outputs), torch.stack(before), torch.stack(after)


class Follower:
    """A policy with a memory, which remembers each episode that it is told of.

    >>> count = Follower(lambda observation, state: (observation + state, state + 1), torch.zeros(1))
    >>> count.follow([0, 1])
    >>> _ = count(torch.zeros(2, 1))
    >>> count.follow([1, 2])  # episode 0 is over
    >>> count(torch.zeros(2, 1)).tolist()
    [[1.0], [0.0]]

    Args:
        act: observations (B, O) and states (B, S) -> actions (B, ...) and the states after them.
        like: a tensor (S,) of the states' type, which begin with zeros.
    """

    def __init__(self, act: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], like: Tensor) -> None:
        self.act, self.zeros = act, torch.zeros_like(like)
        self.states: dict[int, Tensor] = {}
        self.episodes: Sequence[int] = []

    def follow(self, episodes: Sequence[int]) -> None:
        """Says which episodes the rows of the next batch are of."""
        self.episodes = episodes

    def __call__(self, observation: Tensor) -> Tensor:
        """Actions for observations (B, O)."""
        state = torch.stack([self.states.get(episode, self.zeros) for episode in self.episodes])
        action, after = self.act(observation, state)
        self.states.update(zip(self.episodes, after.unbind(0), strict=True))
        return action
