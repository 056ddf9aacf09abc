"""Networks that look at an image as a sequence of patches: a small vision Transformer, and one behind convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ViT(nn.Module):
    """Patches, a class token, learned places, four encoder layers of width 128; logits from the class token.

    Source: Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021, far smaller. The image is cut into about 8x8
    patches, and into more than one pixel each.
    """

    def __init__(self, channels: int, size: int, classes: int, width: int = 128, depth: int = 4) -> None:
        super().__init__()
        side = max(2, round(size / 8))
        self.patches = nn.Conv2d(channels, width, side, stride=side)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        # as large as the patches (the paper's are 0.02): a short training would not see where a patch lies
        self.places = nn.Parameter(torch.randn(1, (size // side) ** 2 + 1, width))
        self.layers = nn.Sequential(*(encoder_layer(width) for _ in range(depth)), nn.LayerNorm(width))
        self.logits = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).mT  # (B, N, width)
        tokens = torch.cat([self.token.expand(len(images), -1, -1), patches], 1) + self.places
        logits: Tensor = self.logits(self.layers(tokens)[:, 0])
        return logits


class CNNTransformer(nn.Module):
    """The two convolutions of `cnn`, then one encoder layer over the places of the image; logits from their mean."""

    def __init__(self, channels: int, size: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(32, width, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        )  # fmt: skip
        self.places = nn.Parameter(0.02 * torch.randn(1, (size // 4) ** 2, width))
        self.layer = nn.Sequential(encoder_layer(width), nn.LayerNorm(width))
        self.logits = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.stem(images).flatten(2).mT + self.places  # (B, N, width)
        logits: Tensor = self.logits(self.layer(tokens).mean(1))
        return logits


def encoder_layer(width: int) -> nn.TransformerEncoderLayer:
    """Attention with four heads and a perceptron of twice the width, each behind a normalisation."""
    return nn.TransformerEncoderLayer(
        width, 4, 2 * width, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
    )
