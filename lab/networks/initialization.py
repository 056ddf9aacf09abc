"""Weight initialisation by name.

Sources: Glorot and Bengio 2010 (xavier), He et al. 2015 (kaiming), Saxe et al. 2014 (orthogonal).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lab.errors import unknown_name


def _orthogonal(weight: Tensor) -> None:
    """As torch's, which refuses weights that are laid out with their channels last."""
    weight.copy_(nn.init.orthogonal_(torch.empty_like(weight, memory_format=torch.contiguous_format)))


Init = Literal[
    "default",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
    "orthogonal",
    "normal",
    "zeros",
]
INITS: dict[Init, Callable[[Tensor], Any]] = {
    "default": lambda weight: weight,
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "kaiming_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "kaiming_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "orthogonal": _orthogonal,
    "normal": partial(nn.init.normal_, std=0.02),
    "zeros": nn.init.zeros_,
}
SYNONYMS = {  # for the hint in an error
    "glorot_uniform": "xavier_uniform",
    "glorot_normal": "xavier_normal",
    "he_uniform": "kaiming_uniform",
    "he_normal": "kaiming_normal",
    "glorot": "xavier_uniform",
    "he": "kaiming_normal",
}
Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


@torch.no_grad()
def initialize(network: nn.Module, name: Init, gain: float = 1.0) -> None:
    """Gives all linear, convolutional, recurrent and attention layers in `network` new weights; biases become 0.

    Each gate of a recurrent layer, and the query, key and value of an attention layer, is a matrix of its own.
    Normalisation layers and embeddings stay as they are.

    >>> layer = nn.Linear(3, 2)
    >>> initialize(layer, "orthogonal", gain=2.0)
    >>> torch.allclose(layer.weight @ layer.weight.T, 4 * torch.eye(2), atol=1e-5)
    True

    Args:
        network: a layer, or a network of layers.
        name: one of `INITS`. `kaiming` has ReLU's gain of sqrt(2), `normal` a standard deviation of 0.02, and
            `default` keeps the weights and biases as torch has drawn them.
        gain: what all these weights are multiplied by.

    Raises:
        BadSetting: there is no initialisation of that name.
    """
    if name not in INITS:
        raise unknown_name("init", name, INITS, SYNONYMS)
    for layer in network.modules():
        for weight in _matrices(layer):
            INITS[name](weight)
            weight.mul_(gain)
        if name != "default":
            for bias in _biases(layer):
                nn.init.zeros_(bias)


def _matrices(layer: nn.Module) -> Iterator[Tensor]:
    """The weights that belong to `layer` itself, as views, one for each linear map."""
    if isinstance(layer, nn.Linear | Convolution):
        yield layer.weight
    elif isinstance(layer, nn.RNNBase):
        for key, weight in layer.named_parameters(recurse=False):
            if key.startswith("weight"):  # (gates * hidden, inputs), (gates * hidden, hidden)
                yield from weight.split(layer.hidden_size)
    elif isinstance(layer, nn.MultiheadAttention):
        for key, weight in layer.named_parameters(recurse=False):
            if key.endswith("proj_weight"):  # of query, key and value, (width, inputs) each or (3 * width, width)
                yield from weight.split(layer.embed_dim)


def _biases(layer: nn.Module) -> Iterator[Tensor]:
    if isinstance(layer, nn.Linear | Convolution | nn.RNNBase | nn.MultiheadAttention):
        yield from (bias for key, bias in layer.named_parameters(recurse=False) if "bias" in key)
