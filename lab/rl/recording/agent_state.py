"""All that an agent's update may change, to be copied and put back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

GENERATORS = ("generator", "generator of the GPU")  # beside the names of tensors


class AgentState:
    """The weights and buffers of an agent, the state of its optimizer, and torch's random generators.

    >>> layer = nn.Linear(2, 1)
    >>> state = AgentState(layer, [])
    >>> before = state.copies()
    >>> _ = nn.init.zeros_(layer.weight)
    >>> state.restore(before)
    >>> bool(layer.weight.any())
    True

    Args:
        module: the agent.
        optimizer: the state of its optimizer, as `Adam.tensors` has it.
    """

    def __init__(self, module: nn.Module, optimizer: Sequence[Any] | None) -> None:
        self.module, self.optimizer = module, optimizer

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Its tensors by name."""
        yield from self.module.named_parameters()
        yield from self.module.named_buffers()
        yield from ((f"state {number}", tensor) for number, tensor in enumerate(_leaves(self.optimizer)))

    def copies(self) -> dict[str, Tensor]:
        """A copy of each, and of the generators' states."""
        copies = {name: tensor.detach().clone() for name, tensor in self.tensors()}
        return copies | dict(zip(GENERATORS, _generators(), strict=False))

    def restore(self, copies: Mapping[str, Tensor]) -> None:
        """Everything becomes what it was."""
        for name, tensor in self.tensors():
            tensor.data.copy_(copies[name])
        torch.set_rng_state(copies[GENERATORS[0]])
        if GENERATORS[1] in copies:
            torch.cuda.set_rng_state(copies[GENERATORS[1]])


def _leaves(value: Any) -> Iterator[Tensor]:
    """The tensors in sequences of sequences."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)


def _generators() -> list[Tensor]:
    """The states of torch's generators: that of the CPU, and that of the GPU once there is one."""
    on_gpu = [torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *on_gpu]
