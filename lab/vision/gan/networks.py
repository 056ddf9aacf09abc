"""Generators and discriminators of the GANs, in three architectures.

The plain one is DCGAN of Radford, Metz and Chintala, ICLR 2016, as small as 28x28 images need it; the residual one has
up-sampling blocks with a skip (He et al., CVPR 2016) on the one side and pairs of smaller convolutions on the other.
Images of another size begin with as many places as they need: a quarter of their side. The dense one has linear layers
alone, as in Goodfellow et al., NeurIPS 2014.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lab.networks import upcast

Architecture = Literal["plain", "residual", "dense"]
SLOPE = 0.2  # of all leaky rectifiers


def generator(architecture: Architecture, codes: int, channels: int, size: int, width: float) -> nn.Sequential:
    """Codes (B, codes) -> images (B, channels, size, size) from -1 to 1."""
    if architecture == "dense":
        pixels = channels * size**2
        layers = _dense([codes, *(scaled(n, width) for n in (256, 512, 1024)), pixels])
        return begun(nn.Sequential(*layers, nn.Unflatten(1, (channels, size, size)), nn.Tanh()), deep=True)
    foot, high, low, last = (scaled(n, width) for n in (256, 128, 64, 32))
    side = size // 4
    body: list[nn.Module] = [
        nn.Linear(codes, foot * side**2, bias=False), nn.BatchNorm1d(foot * side**2), leaky(),
        nn.Unflatten(1, (foot, side, side)),
    ]  # fmt: skip
    if architecture == "residual":
        body += [
            UpBlock(foot, high), UpBlock(high, low),
            nn.Conv2d(low, last, 3, padding=1, bias=False), nn.BatchNorm2d(last), leaky(),
            nn.Conv2d(last, channels, 5, padding=2),
        ]  # fmt: skip
    else:
        body += [
            nn.ConvTranspose2d(foot, high, 5, 1, 2, bias=False), nn.BatchNorm2d(high), leaky(),
            nn.ConvTranspose2d(high, low, 5, 2, 2, output_padding=1, bias=False), nn.BatchNorm2d(low), leaky(),
            nn.ConvTranspose2d(low, channels, 5, 2, 2, output_padding=1),
        ]  # fmt: skip
    return begun(nn.Sequential(*body, nn.Tanh()))


class UpBlock(nn.Module):
    """Maps (B, n_in, H, W) -> (B, n_out, 2 H, 2 W): two transposed convolutions, and the map itself on a way past them.

    Args:
        n_in: maps.
        n_out: maps of the result.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.ConvTranspose2d(n_in, n_out, 3, 2, 1, output_padding=1, bias=False), nn.BatchNorm2d(n_out), leaky(),
            nn.ConvTranspose2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out),
        )  # fmt: skip
        self.skip = nn.Sequential(nn.Conv2d(n_in, n_out, 1), nn.Upsample(scale_factor=2))  # a quarter of the work first
        self.end = leaky()

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = self.end(self.way(maps) + self.skip(maps))
        return found


class Dropout(nn.Dropout):
    """Dropout by a byte of noise for each element; torch draws a double, which on a CPU was a quarter of a step.

    The share that is dropped is `p` to the nearest 256th.
    """

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training:
            return maps
        dropped, n = round(256 * self.p), maps.numel()
        words = torch.empty(-(-n // 8), dtype=torch.int64, device=maps.device).random_(-(2**63), None)
        kept = (words.view(torch.uint8)[:n] >= dropped).as_strided(maps.shape, maps.stride())
        return maps * kept * (256 / (256 - dropped))


class Discriminator(nn.Module):
    """Images (B, channels, size, size) from -1 to 1 and labels (B,) -> logits (B,), high for real ones.

    Args:
        architecture: that of the generator.
        channels: of an image.
        size: height and width of an image.
        classes: each has a learned plane, which is one more channel of its images; 0 looks at images alone.
        width: factor of all widths.
        spectral: keep the largest singular value of every layer at 1 (Miyato et al., ICLR 2018).
    """

    def __init__(
        self, architecture: Architecture, channels: int, size: int, classes: int, width: float, spectral: bool
    ) -> None:
        super().__init__()
        self.planes = nn.Embedding(classes, size**2) if classes else None
        low, high, top, wide = (scaled(n, width) for n in (64, 128, 256, 512))
        n_in = channels + (classes > 0)
        body: list[nn.Module]
        if architecture == "dense":
            body = [nn.Flatten(), *_dense([n_in * size**2, wide, top, 1])]
        elif architecture == "residual":
            blocks = [
                layer
                for before, after in ((n_in, low), (low, high), (high, top))
                for layer in (
                    nn.Conv2d(before, after, 3, 2, 1), leaky(),
                    nn.Conv2d(after, after, 3, 1, 1), leaky(), Dropout(0.3),
                )
            ]  # fmt: skip
            body = [
                *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                nn.Linear(top, wide), leaky(), Dropout(0.5), nn.Linear(wide, top), leaky(), Dropout(0.5),
                nn.Linear(top, 1),
            ]  # fmt: skip
        else:
            body = [
                nn.Conv2d(n_in, low, 5, 2, 2), leaky(), Dropout(0.3),
                nn.Conv2d(low, high, 5, 2, 2), leaky(), Dropout(0.3),
                nn.Flatten(), nn.Linear(high * (size // 4) ** 2, 1),
            ]  # fmt: skip
        self.body = begun(nn.Sequential(*body), deep=architecture != "plain")
        if spectral:
            for layer in self.body:
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    spectral_norm(layer)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        if self.planes is not None:
            planes = self.planes(labels).view(-1, 1, *images.shape[2:])
            images = torch.cat([images, planes], 1)  # (B, channels + 1, size, size)
        logits: Tensor = upcast(self.body(images)).squeeze(1)
        return logits


def begun(network: nn.Sequential, deep: bool = False) -> nn.Sequential:
    """The network with the weights that DCGAN begins with, and in the layout in which convolutions are fast.

    Args:
        network: layers.
        deep: there are many, and no batch is normalised: signals would fade from layer to layer, so weights are as
            large as their rectifiers need (He et al., ICCV 2015).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if deep:
                nn.init.kaiming_normal_(layer.weight, SLOPE)
            else:
                nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
    return network.to(memory_format=torch.channels_last)


def _dense(widths: list[int]) -> list[nn.Module]:
    """Linear layers of these widths with leaky rectifiers between them."""
    pairs = [layer for n_in, n_out in pairwise(widths) for layer in (nn.Linear(n_in, n_out), leaky())]
    return pairs[:-1]


def scaled(width: int, factor: float) -> int:
    """A width times the factor, at least 4."""
    return max(4, round(width * factor))


def leaky() -> nn.Module:
    return nn.LeakyReLU(SLOPE, inplace=True)
