"""Losses of the networks, and the moving average of the generator's weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def against(logits: Tensor, target: float) -> Tensor:
    """Binary cross-entropy of logits (B,), all with the same target."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def classifier_loss(
    logits: Tensor, labels: Tensor, guesses: Tensor, on_guessed: Tensor, pseudo: float, alpha: float
) -> Tensor:
    """The classifier's loss in the triple game: of real images, of generated ones, and of its guesses.

    Args:
        logits: (2 B, K) for real images and for generated ones.
        labels: (B,) of the real images, and those that were asked for.
        guesses: (B,) the most probable labels of the real images.
        on_guessed: (B,) logits of the discriminator for them.
        pseudo: weight of the generated images.
        alpha: weight of the discriminator's verdict.
    """
    on_real, on_generated = logits.chunk(2)
    trust = on_real.softmax(1).gather(1, guesses.unsqueeze(1)).squeeze(1)
    convinced = (trust * F.logsigmoid(-on_guessed)).mean()  # p(guess) log(1 - D(image, guess))
    supervised = F.cross_entropy(on_real, labels)
    return supervised + pseudo * F.cross_entropy(on_generated, labels) + alpha * convinced


def averaged(generator: nn.Module, decay: float) -> AveragedModel:
    """The average of a generator's weights and buffers over the steps."""
    return AveragedModel(generator, multi_avg_fn=moving_average(decay), use_buffers=True)


def moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """torch's, which keeps less at the beginning, when all weights are bad."""

    def update(means: Any, newest: Any, steps: Any) -> None:
        get_ema_multi_avg_fn(min(decay, float((1 + steps) / (10 + steps))))(means, newest, steps)

    return update
