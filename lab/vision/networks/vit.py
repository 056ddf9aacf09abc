"""Networks that look at an image as a sequence of patches: a small vision Transformer, and one behind convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lab.errors import BadSetting
from lab.networks import LearnedPositions, TransformerEncoder, record_attention
from lab.vision.networks.plain import Count


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
        heads: of the attention, which divide the width.
        patch: side of a patch in pixels, by default about an eighth of the image's.

    Raises:
        BadSetting: heads do not divide the width, or a patch is larger than the image.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        classes: int,
        width: Count = 128,
        depth: Count = 4,
        heads: Count = 4,
        patch: Count | None = None,
    ) -> None:
        super().__init__()
        check_heads(width, heads)
        side = patch or max(2, round(size / 8))
        if side > size:
            raise BadSetting("network_args", f"patch: {side} pixels are more than the image's {size}")
        self.side = size // side  # patches along it
        self.patches = nn.Conv2d(channels, width, side, stride=side)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        # as large as the patches (the paper's are 0.02): a short training would not see where a patch lies
        self.positions = LearnedPositions(self.side**2 + 1, width)
        self.transformer = TransformerEncoder(width, depth, heads)
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).mT  # (B, N, width)
        tokens = torch.cat([self.class_token.expand(len(images), -1, -1), patches], 1)
        logits: Tensor = self.classifier(self.transformer(self.positions(tokens))[:, 0])
        return logits

    def attention(self, images: Tensor) -> Tensor:
        """Attention of the class token to each patch in the last layer, the mean of its heads: (B, side, side)."""
        with record_attention(self) as weights:
            self(images)
        last: Tensor = list(weights.values())[-1]
        return last.mean(1)[:, 0, 1:].reshape(-1, self.side, self.side)


class CNNTransformer(nn.Module):
    """The two convolutions of `cnn`, then one encoder layer over the positions of the image; logits from their mean.

    Args:
        channels: of an image.
        size: height and width of an image.
        classes: logits.
        width: of the tokens.
        depth: encoder layers.
        heads: of the attention, which divide the width.

    Raises:
        BadSetting: heads do not divide the width.
    """

    def __init__(
        self, channels: int, size: int, classes: int, width: Count = 64, depth: Count = 1, heads: Count = 4
    ) -> None:
        super().__init__()
        check_heads(width, heads)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(32, width, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        )  # fmt: skip
        self.positions = LearnedPositions((size // 4) ** 2, width, std=0.02)
        self.transformer = TransformerEncoder(width, depth, heads)
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.positions(self.stem(images).flatten(2).mT)  # (B, N, width)
        logits: Tensor = self.classifier(self.transformer(tokens).mean(1))
        return logits


def check_heads(width: int, heads: int) -> None:
    """
    Raises:
        BadSetting: heads do not divide the width.
    """
    if width % heads:
        raise BadSetting("network_args", f"heads: {heads} do not divide the width of {width}")
