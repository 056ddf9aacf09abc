"""The generator and the discriminator of CycleGAN, as small as 28x28 images need them.

Source: Zhu et al., ICCV 2017, with the residual generator of Johnson et al., ECCV 2016, and the discriminator of
patches of Isola et al., CVPR 2017, whose patches are smaller here: 30 pixels wide instead of 70.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lab.networks import upcast
from lab.vision.gan.networks import leaky


class Translator(nn.Module):
    """Images (B, channels, H, W) from -1 to 1 -> images of the other style, of the same size, which 4 divides.

    Args:
        channels: of an image.
        width: maps at the full size; there are four times as many at a quarter of it.
        depth: residual blocks.
    """

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        double, wide = 2 * width, 4 * width
        self.layers = nn.Sequential(
            *normalised(nn.Conv2d(channels, width, 7, padding=3, padding_mode="reflect")),
            *normalised(nn.Conv2d(width, double, 3, 2, 1)),
            *normalised(nn.Conv2d(double, wide, 3, 2, 1)),
            *(Residual(wide) for _ in range(depth)),
            *normalised(nn.ConvTranspose2d(wide, double, 3, 2, 1, output_padding=1)),
            *normalised(nn.ConvTranspose2d(double, width, 3, 2, 1, output_padding=1)),
            nn.Conv2d(width, channels, 7, padding=3, padding_mode="reflect"),
            nn.Tanh(),
        )
        begin(self)

    def forward(self, images: Tensor) -> Tensor:
        return upcast(self.layers(images))


class Residual(nn.Module):
    """Maps (B, width, H, W) -> the same and what two convolutions add."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect") for _ in range(2))
        self.layers = nn.Sequential(*normalised(first), *normalised(second)[:-1])

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = maps + self.layers(maps)
        return found


def patch_discriminator(channels: int, width: int) -> nn.Sequential:
    """Images (B, channels, H, W) -> how real each of its patches is, (B, 1, H/4 - 1, W/4 - 1): 1 is real, 0 is not."""
    double, wide = 2 * width, 4 * width
    network = nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1),
        leaky(),
        *normalised(nn.Conv2d(width, double, 4, 2, 1), leaky),
        *normalised(nn.Conv2d(double, wide, 3, 1, 1), leaky),
        nn.Conv2d(wide, 1, 4, 1, 1),
    )
    begin(network)
    return network


def normalised(
    convolution: nn.Conv2d | nn.ConvTranspose2d, activation: Callable[[], nn.Module] = nn.ReLU
) -> list[nn.Module]:
    """The convolution, each of its maps with mean 0 and variance 1 over its image, and the activation."""
    return [convolution, nn.InstanceNorm2d(convolution.out_channels), activation()]


def begin(network: nn.Module) -> None:
    """Gives it normal weights of standard deviation 0.02, in the layout in which convolutions are fast."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    network.to(memory_format=torch.channels_last)
