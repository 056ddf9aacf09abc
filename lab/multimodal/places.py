"""Maps of an image, or of a frame of a clip: what is at each of its places, and the colours there.

Source: Xu et al., Show, attend and tell, ICML 2015, whose convolutions are trained before and stay as they are. Here
convolutions of two by two pixels, which see no shape, stand beside them for what the others did not learn: the colours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lab.vision.detection.grid import STRIDE, backbone

COLORS = 16  # channels of the colours


class Places(nn.Module):
    """Normalised images (B, C, H, W) -> maps (B, 4 * width + 16, H/8, W/8), rounded up.

    >>> Places(3, width=4)(torch.zeros(2, 3, 48, 48)).shape
    torch.Size([2, 32, 6, 6])

    Args:
        channels: of an image.
        width: channels of the first convolution.
        fixed: whether its convolutions are trained elsewhere, and take no gradient here; the colours always do.
    """

    def __init__(self, channels: int, width: int, fixed: bool = False) -> None:
        super().__init__()
        self.trunk = backbone(channels, width).to(memory_format=torch.channels_last)
        self.colors = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True),
            *(nn.Conv2d(channels, COLORS, 1), nn.ReLU(), nn.Conv2d(COLORS, COLORS, 1), nn.ReLU()),
            nn.AvgPool2d(STRIDE // 2, ceil_mode=True),
        )
        self.channels, self.fixed = 4 * width + COLORS, fixed

    def forward(self, images: Tensor) -> Tensor:
        maps = self.trunk(images)
        return torch.cat([maps.detach() if self.fixed else maps, self.colors(images)], 1)


def num_places(size: int) -> int:
    """The places of the maps of an image of that height and width.

    >>> num_places(48)
    36
    """
    return (-(-size // STRIDE)) ** 2
