"""Losses of rows by name, of each row alone: (B,)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

ClassLoss = Literal["cross_entropy", "hinge", "perceptron"]
ValueLoss = Literal["mse", "mae", "mape", "huber"]
LEAST_TARGET = 1e-6  # what a relative error is divided by at least, in units of the target


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Minus the logarithm of the probability of the class: the binary cross-entropy, for two classes."""
    return F.cross_entropy(logits, labels, reduction="none")


def hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """By how much the class is not ahead of every other one by 1 (Crammer and Singer 2001)."""
    return (1 + behind(logits, labels)).clamp(min=0)


def perceptron(logits: Tensor, labels: Tensor) -> Tensor:
    """By how much another class is ahead: one step of gradient descent on it is Rosenblatt's rule (1958)."""
    return behind(logits, labels).clamp(min=0)


def behind(logits: Tensor, labels: Tensor) -> Tensor:
    """The largest logit of another class less that of the class.

    >>> behind(torch.tensor([[2.0, 5.0, 1.0]]), torch.tensor([0]))
    tensor([3.])
    """
    own = F.one_hot(labels, logits.shape[1]).bool()
    return logits.masked_fill(own, -torch.inf).amax(1) - logits[own]


def relative(predicted: Tensor, target: Tensor) -> Tensor:
    """The absolute error as a share of the target."""
    return (predicted - target).abs() / target.abs().clamp(min=LEAST_TARGET)


CLASS_LOSSES: dict[ClassLoss, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": cross_entropy,
    "hinge": hinge,
    "perceptron": perceptron,
}


def value_losses(name: ValueLoss, predicted: Tensor, target: Tensor, unit: Tensor, delta: float) -> Tensor:
    """The loss of each row, (B,), of predictions and targets (B, 1).

    Args:
        name: mse, mae and huber are of errors in `unit`s, so that one learning rate does for all data.
        predicted: in the units of the data.
        target: in the units of the data.
        unit: standard deviation of the target in the training rows.
        delta: error, in units, from which `huber` grows along a line.
    """
    if name == "mape":
        return relative(predicted, target).squeeze(1)
    error = ((predicted - target) / unit).squeeze(1)
    if name == "mse":
        return error.square()
    if name == "mae":
        return error.abs()
    return F.huber_loss(error, torch.zeros_like(error), reduction="none", delta=delta)
