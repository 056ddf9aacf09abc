"""Layers in a training: norms of their gradients, and units that are zero on all validation data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import torch
from annotated_types import Gt
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from lab import plots
from lab.learning.plots import layer_statistics
from lab.networks import ACTIVATIONS


class LayerStatistics(Callback):
    """Draws `layer_statistics.png` at the end of a training; what is learnt stays the same.

    The layers are those of the module's `network`, or of the whole module if it has none. A unit is a feature, or a
    channel of maps; it is dead where an activation function gives zero for all data of the last validation, of this
    process.

    >>> LayerStatistics(every=50).every
    50

    Args:
        every: optimizer steps between two measures of the gradients.
    """

    def __init__(self, every: Annotated[int, Gt(0)] = 10) -> None:
        self.every = every
        self.steps: list[int] = []
        self.norms: dict[str, list[float]] = {}
        self.dead: dict[str, float] = {}
        self._alive: dict[str, Tensor] = {}
        self._handles: list[Any] = []

    def on_before_optimizer_step(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        optimizer: Any,  # noqa: ARG002 - Lightning's signature
    ) -> None:
        if trainer.global_step % self.every:
            return
        self.steps.append(trainer.global_step)
        for name, layer in _layers(pl_module):
            gradients = [weights.grad for weights in layer.parameters(recurse=False) if weights.grad is not None]
            if gradients or name in self.norms:
                norm = torch.nn.utils.get_total_norm(gradients).item() if gradients else 0.0
                self.norms.setdefault(name, [0.0] * (len(self.steps) - 1)).append(norm)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._alive = {}
        for name, layer in _layers(pl_module):
            if isinstance(layer, tuple(ACTIVATIONS.values())):

                def look(_: nn.Module, __: Any, output: Tensor, name: str = name) -> None:
                    units = output.movedim(1, -1) if output.ndim == 4 else output
                    self._alive[name] = (units != 0).flatten(0, -2).any(0) | self._alive.get(name, torch.tensor(False))

                self._handles.append(layer.register_forward_hook(look))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self.dead = {name: 1 - alive.float().mean().item() for name, alive in self._alive.items()}

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self.steps:
            drawn = layer_statistics(self.steps, self.norms, self.dead)
            plots.log_figure(pl_module, "layer_statistics.png", drawn)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "norms": self.norms, "dead": self.dead}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps, self.norms, self.dead = (state_dict[key] for key in ("steps", "norms", "dead"))


def _layers(module: LightningModule) -> Iterator[tuple[str, nn.Module]]:
    network: nn.Module = getattr(module, "network", module)
    yield from network.named_modules()
