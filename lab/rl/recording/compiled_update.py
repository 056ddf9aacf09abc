"""An agent's compiled update, once its gradients have been those of the eager one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from lab.rl.recording.agent_state import AgentState

Update = Callable[..., dict[str, Tensor]]

TOLERANCE = 0.1  # of a gradient, relative; in half precision rounding alone makes a few per cent
SMALL = 0.01  # of the largest norm of a gradient: what is smaller may be nothing but rounding


class CompiledUpdate:
    """A compiled update that is held against the eager one in its first call with these flags and shapes.

    Compilers make mistakes without an error: TorchInductor 2.14 gave Adam the transposed gradient of a layer, of the
    right norm, and the agent learnt less. Where gradients differ, a warning says so and the update stays eager. The
    check is one eager update and a copy of the agent, and changes no number.

    Args:
        module: the agent.
        eager: its eager update.
        compiled: the same, compiled.
    """

    def __init__(self, module: nn.Module, eager: Update, compiled: Update) -> None:
        self.module, self.eager, self.compiled = module, eager, compiled
        self.proven: set[Any] = set()
        self.refused: set[Any] = set()

    def __call__(self, state: Sequence[Any], *batch: Any, **flags: Any) -> dict[str, Tensor]:
        key = (*flags.items(), batch[0].shape)
        if key in self.proven:
            return self.compiled(state, *batch, **flags)
        if key in self.refused:
            return self.eager(state, *batch, **flags)
        agent, first = AgentState(self.module, state), _moments(state)
        before = agent.copies()
        self.eager(state, *batch, **flags)
        wanted = _moments(state)
        agent.restore(before)
        result = self.compiled(state, *batch, **flags)
        wrong = _differing(state, first, wanted, _moments(state))
        if not wrong:
            self.proven.add(key)
            return result
        self.refused.add(key)
        names = {id(weight): name for name, weight in self.module.named_parameters()}
        warnings.warn(
            f"torch.compile gives {type(self.module).__name__} a wrong gradient of "
            f"{', '.join(names[id(weight)] for weight in wrong)}: its update stays eager; compile: false does without",
            stacklevel=2,
        )
        agent.restore(before)
        return self.eager(state, *batch, **flags)


def _moments(state: Sequence[Any]) -> list[list[Tensor]]:
    """Adam's mean gradients, of each group of parameters."""
    return [[moment.clone() for moment in moments] for _, moments, *_ in state]


def _differing(
    state: Sequence[Any], first: list[list[Tensor]], wanted: list[list[Tensor]], found: list[list[Tensor]]
) -> list[Tensor]:
    """The weights whose gradients, by the moments after the update, are not those that they should be."""
    wrong: list[Tensor] = []
    for (weights, *_, betas), start, right, other in zip(state, first, wanted, found, strict=True):
        norms = [float((moment - betas[0] * before).norm()) for moment, before in zip(right, start, strict=True)]
        errors = [float((moment - given).norm()) for moment, given in zip(right, other, strict=True)]
        least = SMALL * max(norms)
        wrong += [
            weight
            for weight, norm, error in zip(weights, norms, errors, strict=True)
            if math.isfinite(norm) and not error <= TOLERANCE * max(norm, least)
        ]
    return wrong
