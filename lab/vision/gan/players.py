"""A step of one of the players of a game, each of which has an optimizer of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor


def optimizer_step(trainer: Trainer, optimizer: Any, loss: Tensor) -> None:
    """One step of one player: gradients of its weights alone, averaged over all processes.

    Args:
        trainer: of the module.
        optimizer: of the player's weights.
        loss: what it makes smaller, ().
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    gradients: Sequence[Tensor] = torch.autograd.grad(loss, weights)
    if trainer.world_size > 1:
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        flat = trainer.strategy.reduce(flat, reduce_op="mean")
        parts = flat.split([gradient.numel() for gradient in gradients])
        gradients = [part.view(gradient.shape) for part, gradient in zip(parts, gradients, strict=True)]
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient
    optimizer.step()
    optimizer.zero_grad()
