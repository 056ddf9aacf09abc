"""Basic networks: a multilayer perceptron and two that alternate convolutions with pooling."""

from __future__ import annotations

from torch import nn

from lab.networks import MLP


def mlp(channels: int, size: int, classes: int) -> nn.Module:
    """All pixels into two hidden layers of 256 and 128."""
    return nn.Sequential(nn.Flatten(), *MLP(channels * size**2, [256, 128], classes))


def cnn(channels: int, size: int, classes: int) -> nn.Module:
    """Convolutions of 32 and 64 filters, 3x3, each with ReLU and a 2x2 max-pool; a dense layer of 128; logits.

    The source fixes the first width, the kernel, the pools and the dense layer. Here a second convolution has twice the
    filters, and both keep the size of the image (padding 1), so that images of 8x8 go through as well.
    """
    return nn.Sequential(
        *_convolution(channels, 32, 3),
        *_convolution(32, 64, 3),
        nn.Flatten(),
        *MLP(64 * (size // 4) ** 2, [128], classes),
    )


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
