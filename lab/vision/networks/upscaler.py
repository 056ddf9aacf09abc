"""A small network that makes images larger: it adds to the bicubic interpolation what that lacks.

Sources: Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
network, CVPR 2016, whose pixel shuffle ends it; Lim et al., Enhanced deep residual networks for single image
super-resolution, CVPR workshops 2017, with residual blocks without normalisation.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Upscaler(nn.Module):
    """Images (B, channels, H, W) from 0 to 1 -> (B, channels, factor H, factor W), not clipped to this range.

    Before it has learnt anything it is the bicubic interpolation.

    >>> small = torch.rand(2, 1, 7, 9)
    >>> torch.equal(Upscaler(1, 4, width=8, depth=1)(small), bicubic(small, 4))
    True

    Args:
        channels: of an image.
        factor: how many times as high and wide images become.
        width: feature maps.
        depth: residual blocks of two convolutions.
    """

    def __init__(self, channels: int, factor: int, width: int, depth: int) -> None:
        super().__init__()
        self.factor = factor
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))
            for _ in range(depth)
        )
        self.end = nn.Conv2d(width, channels * factor**2, 3, padding=1)
        nn.init.zeros_(self.end.weight)
        nn.init.zeros_(self.end.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        maps = self.stem(2 * images - 1)
        for block in self.blocks:
            maps = maps + block(maps)
        return bicubic(images, self.factor) + F.pixel_shuffle(self.end(maps.relu()), self.factor)


def bicubic(images: Tensor, factor: float) -> Tensor:
    """Images (B, C, H, W), `factor` times as large, or smaller without aliasing where it is below 1."""
    return F.interpolate(images, scale_factor=factor, mode="bicubic", antialias=factor < 1)
