"""Activation functions by name."""

from __future__ import annotations

from typing import Literal

from torch import nn

from lab.errors import unknown_name

Activation = Literal[
    "relu", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "softplus", "tanh", "sigmoid", "identity"
]
ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}
SYNONYMS = {"swish": "silu", "linear": "identity", "none": "identity"}  # for the hint in an error


def make_activation(name: Activation) -> nn.Module:
    """The activation function of that name, elementwise: (...) -> (...).

    >>> make_activation("relu")(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])

    Args:
        name: one of `ACTIVATIONS`; `prelu` has a slope that is learnt.

    Raises:
        BadSetting: there is none of that name.
    """
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS, SYNONYMS)
    return ACTIVATIONS[name]()
