"""The convolutional encoder of images that the task `clip` trains, and that `segment` can take from it."""

from __future__ import annotations

from torch import nn


class ImageEncoder(nn.Sequential):
    """Images (B, C, H, W) -> feature maps (B, 128, H/8, W/8), by four convolutions with batch normalisation.

    Args:
        channels: of an image.
    """

    channels, stride = 128, 8  # of the maps

    def __init__(self, channels: int) -> None:
        super().__init__(
            *_convolution(channels, 32, 5, stride=2),
            *_convolution(32, 64, 3, stride=2),
            *_convolution(64, self.channels, 3, stride=2),
            *_convolution(self.channels, self.channels, 3),
        )


def _convolution(n_in: int, n_out: int, kernel: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(n_out), nn.ReLU()
