"""Basic networks: a multilayer perceptron and two that alternate convolutions with pooling."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt
from torch import nn

from lab.errors import BadSetting
from lab.networks import MLP, Activation, Init, Norm, initialize, make_activation

Count = Annotated[int, Gt(0)]
Share = Annotated[float, Ge(0), Lt(1)]
POOLS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


def mlp(
    channels: int,
    size: int,
    classes: int,
    hidden: list[Count] = [256, 128],  # noqa: B006 - never changed
    activation: Activation = "relu",
    norm: Norm = "none",
    dropout: Share = 0.0,
    init: Init = "default",
) -> nn.Module:
    """All pixels into two hidden layers of 256 and 128."""
    return nn.Sequential(nn.Flatten(), *MLP(channels * size**2, hidden, classes, activation, norm, dropout, init))


def cnn(
    channels: int,
    size: int,
    classes: int,
    widths: list[Count] = [32, 64],  # noqa: B006 - never changed
    hidden: list[Count] = [128],  # noqa: B006
    kernel: Count = 3,
    stride: Count = 1,
    padding: Annotated[int, Ge(0)] | None = None,
    pool: Literal["max", "avg", "none"] = "max",
    activation: Activation = "relu",
    norm: Literal["none", "batch"] = "none",
    dropout: Share = 0.0,
    init: Init = "default",
) -> nn.Module:
    """Convolutions of 32 and 64 filters, 3x3, each with ReLU and a 2x2 max-pool; a dense layer of 128; logits.

    The source fixes the first width, the kernel, the pools and the dense layer. Here a second convolution has twice the
    filters, and both keep the size of the image (padding 1), so that images of 8x8 go through as well.
    """
    padding, side = kernel // 2 if padding is None else padding, size
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise([channels, *widths]):
        side = (side + 2 * padding - kernel) // stride + 1
        side = side if pool == "none" else side // 2
        if side < 1:
            found = f"nothing is left of images of {size} x {size} behind the convolution of {n_out} filters"
            raise BadSetting("network_args", f"{found}; lower kernel or stride, name fewer widths, or set pool: none")
        norms = [nn.BatchNorm2d(n_out)] if norm == "batch" else []
        after = [POOLS[pool](2)] if pool != "none" else []
        # behind a max-pool ReLU gives the same numbers, and has a quarter of the work
        order = [*after, nn.ReLU()] if (pool, activation) == ("max", "relu") else [make_activation(activation), *after]
        drops = [nn.Dropout2d(dropout)] if dropout else []
        layers += [nn.Conv2d(n_in, n_out, kernel, stride, padding), *norms, *order, *drops]
    dense = MLP([channels, *widths][-1] * side**2, hidden, classes, activation, dropout=dropout)
    network = nn.Sequential(*layers, nn.Flatten(), *dense)
    initialize(network, init)
    return network


def lenet(channels: int, size: int, classes: int) -> nn.Module:
    """LeNet-5 with ReLU and max-pooling for its squashing and averaging.

    Source: LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998. Its third
    convolution covers all that is left of an image of 28x28, so it is the dense layer of 120 here.
    """
    side = (size // 2 - 4) // 2
    return nn.Sequential(
        *_convolution(channels, 6, 5),
        *_convolution(6, 16, 5, padding=0),
        nn.Flatten(),
        *MLP(16 * side**2, [120, 84], classes),
    )


def _convolution(n_in: int, n_out: int, kernel: int, padding: int | None = None) -> tuple[nn.Module, ...]:
    """Convolution, ReLU and max-pool; ReLU comes last, which gives the same numbers and has a quarter of the work."""
    convolution = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2 if padding is None else padding)
    return convolution, nn.MaxPool2d(2), nn.ReLU()
