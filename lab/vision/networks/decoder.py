"""A decoder without skip connections: from feature maps back to the size of the image."""

from __future__ import annotations

import itertools

from torch import nn


class UpsamplingDecoder(nn.Sequential):
    """Features (B, features, h, w) -> (B, width, h * d, w * d), with d the next power of two from the stride on.

    Every step doubles the sides and halves the channels: nearest neighbours, a 3x3 convolution, batch normalisation,
    ReLU. There are no skip connections, so what the features have lost of the image stays lost.

    Args:
        features: channels of the map.
        stride: pixels of the image along a side of one position of the map.
        width: channels that the last step leaves.
    """

    def __init__(self, features: int, stride: int, width: int = 16) -> None:
        doublings = (stride - 1).bit_length()
        widths = [features, *(width << step for step in reversed(range(doublings)))]
        super().__init__(*(_step(*pair) for pair in itertools.pairwise(widths)))
        self.width = widths[-1]


def _step(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )
