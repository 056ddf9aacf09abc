"""Networks that look at an image as a sequence of patches: a small vision Transformer, and one behind convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lab.networks import LearnedPositions, TransformerEncoder


class ViT(nn.Module):
    """Patches, a class token, learned positions, four encoder layers of width 128; logits from the class token.

    Source: Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021, far smaller. The image is cut into about 8x8
    patches, and into more than one pixel each.

    Args:
        channels: of an image.
        size: height and width of an image.
        classes: logits.
        width: of the tokens.
        depth: encoder layers.
    """

    def __init__(self, channels: int, size: int, classes: int, width: int = 128, depth: int = 4) -> None:
        super().__init__()
        side = max(2, round(size / 8))
        self.patches = nn.Conv2d(channels, width, side, stride=side)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        # as large as the patches (the paper's are 0.02): a short training would not see where a patch lies
        self.positions = LearnedPositions((size // side) ** 2 + 1, width)
        self.transformer = TransformerEncoder(width, depth)
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).mT  # (B, N, width)
        tokens = torch.cat([self.class_token.expand(len(images), -1, -1), patches], 1)
        logits: Tensor = self.classifier(self.transformer(self.positions(tokens))[:, 0])
        return logits


class CNNTransformer(nn.Module):
    """The two convolutions of `cnn`, then one encoder layer over the positions of the image; logits from their mean.

    Args:
        channels: of an image.
        size: height and width of an image.
        classes: logits.
        width: of the tokens.
    """

    def __init__(self, channels: int, size: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(32, width, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        )  # fmt: skip
        self.positions = LearnedPositions((size // 4) ** 2, width, std=0.02)
        self.transformer = TransformerEncoder(width, depth=1)
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.positions(self.stem(images).flatten(2).mT)  # (B, N, width)
        logits: Tensor = self.classifier(self.transformer(tokens).mean(1))
        return logits
