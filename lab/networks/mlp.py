"""The multilayer perceptron."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from lab.networks.activations import Activation, make_activation
from lab.networks.initialization import Init, initialize
from lab.networks.normalization import Norm, make_norm
from lab.networks.precision import OutputLinear

PLAIN = (nn.Linear, OutputLinear)  # layers that compute nothing else; a subclass of them may


class MLP(nn.Sequential):
    """Features (..., in_features) -> (..., out_features): linear layers with an activation between them.

    Each hidden layer is linear, normalisation, activation, dropout, of which the unused ones are left out; the output
    is linear alone, in the precision of the weights. A slice of it is a plain `nn.Sequential`.

    >>> MLP(4, [64, 64], 2, activation="tanh")(torch.zeros(8, 4)).shape
    torch.Size([8, 2])
    >>> MLP(4, [64, 32], None)(torch.zeros(8, 4)).shape  # the hidden layers alone
    torch.Size([8, 32])

    Args:
        in_features: size of the input.
        hidden: widths of the hidden layers; without any the network is linear.
        out_features: size of the output; None ends it with the last hidden layer's activation.
        activation: activation function of the hidden layers.
        norm: of the hidden layers; `batch` takes inputs (B, in_features) alone.
        dropout: share of the hidden layers' outputs that are dropped in training, from 0 to 1.
        init: how weights begin.
        gain: what the first weights are multiplied by.

    Raises:
        BadSetting: there is no such activation, normalisation or initialisation.
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int | None,
        activation: Activation = "relu",
        norm: Norm = "none",
        dropout: float = 0.0,
        init: Init = "default",
        gain: float = 1.0,
    ) -> None:
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise([in_features, *hidden]):
            layers.append(nn.Linear(n_in, n_out))
            if norm != "none":
                layers.append(make_norm(norm, n_out))
            layers.append(make_activation(activation))
            if dropout:
                layers.append(nn.Dropout(dropout))
        width = [in_features, *hidden][-1]
        if out_features is not None:
            layers.append(OutputLinear(width, out_features))
        super().__init__(*layers)
        initialize(self, init, gain)
        self.in_features, self.out_features = in_features, width if out_features is None else out_features

    def as_function(self) -> Callable[[Tensor], Tensor]:
        """The same computation with the present weights as a plain function, which calls no hooks.

        For many calls with few rows: eight observations of CartPole through (64, 64) take 15 us and not 28. It is for
        acting, outside of autocast; within it the output would have half precision.
        """
        layers = [
            partial(F.linear, weight=layer.weight, bias=layer.bias)
            if isinstance(layer, nn.Linear) and type(layer) in PLAIN
            else layer.forward
            for layer in self
        ]

        def forward(features: Tensor) -> Tensor:
            for layer in layers:
                features = layer(features)
            return features

        return forward

    def __getitem__(self, index: slice | int) -> Any:
        if isinstance(index, slice):  # nn.Sequential would call this class with the layers
            return nn.Sequential(*list(self)[index])
        return super().__getitem__(index)


def as_function(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """A network as a plain function, for many calls with few rows: its own `as_function`, or else itself.

    >>> as_function(MLP(4, [64], 2))(torch.zeros(8, 4)).shape
    torch.Size([8, 2])
    """
    made: Callable[[Tensor], Tensor] = getattr(network, "as_function", lambda: network)()
    return made
