"""Which words of its caption an image shows: what the encoder learns before the decoder begins to write.

Sources: Fang et al., From captions to visual concepts and back, CVPR 2015, for words that are found without boxes, by
multiple instance learning; Xu et al., Show, attend and tell, ICML 2015, for an encoder that was trained before. Here a
word is as probable as at its most probable place, instead of a noisy-or over all places.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RARE = -2.0  # logit of a word at a place, at the beginning


class WordDetector(nn.Module):
    """Maps of an encoder (B, channels, H, W) -> logits (B, words) that some place of the image shows a word.

    >>> WordDetector(64, 33)(torch.zeros(2, 64, 6, 6)).shape
    torch.Size([2, 33])

    Args:
        channels: of the maps.
        words: how many there are.
    """

    def __init__(self, channels: int, words: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(channels, words, 1)
        nn.init.constant_(self.head.bias, RARE)  # type: ignore[arg-type]

    def forward(self, maps: Tensor) -> Tensor:
        logits: Tensor = self.head(maps).amax((2, 3))
        return logits

    def loss(self, maps: Tensor, captions: Tensor, words: Tensor) -> Tensor:
        """The cross-entropy of whether each of some words is in a caption, summed over them: the mean of a batch, ().

        Args:
            maps: (B, channels, H, W).
            captions: (B, L) places of words, padded with 0.
            words: places of the words that count, (N,).
        """
        logits = self(maps)
        there = torch.zeros_like(logits).scatter_(1, captions, 1.0)
        losses = F.binary_cross_entropy_with_logits(logits[:, words], there[:, words], reduction="none")
        return losses.sum(1).mean()


def recolored(images: Tensor) -> Tensor:
    """Images or clips (B, ..., 3, H, W) from 0 to 1 whose channels are swapped and inverted, each in a way of its own.

    All edges stay, and nothing that goes by the colour does: of the 48 ways one leaves an image as it is.
    """
    count, channels = len(images), images.shape[-3]
    shape = (count, *[1] * (images.ndim - 4), channels, 1, 1)
    order = torch.rand(count, channels, device=images.device).argsort(1).view(shape)
    inverted = torch.rand(shape, device=images.device) < 0.5
    swapped = images.gather(-3, order.expand_as(images))
    return torch.where(inverted, 1 - swapped, swapped)
