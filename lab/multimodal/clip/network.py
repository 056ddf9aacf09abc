"""Two encoders that end in one space: of images, and of captions made of words.

Source: Radford et al., Learning transferable visual models from natural language supervision, ICML 2021. Far smaller
here, and in three things not the same: images go through a plain CNN; words are whole; and the text Transformer sees
the words on both sides and answers with their mean, where theirs sees what came before and answers with the last one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadInput
from lab.vision.networks.image_encoder import ImageEncoder
from lab.vision.networks.transformer import encoder_layer

LONGEST = 32  # words of a caption
TEMPERATURE = 0.07  # at the beginning, as in the paper


class CLIP(nn.Module):
    """Images and captions -> vectors (B, dim) of length 1, whose inner product says how well they belong together.

    Args:
        channels: of an image.
        words: how many there are; word 0 fills up a caption.
        dim: of the shared space.
    """

    def __init__(self, channels: int, words: int, dim: int) -> None:
        super().__init__()
        self.encoder = ImageEncoder(channels)
        self.pool = AttentionPool(self.encoder.channels, dim)
        self.reader = TextEncoder(words)
        self.project = nn.Linear(self.reader.width, dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / TEMPERATURE)))

    def images(self, images: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) -> (B, dim)."""
        return F.normalize(self.pool(self.encoder(images)), dim=1)

    def texts(self, captions: Tensor) -> Tensor:
        """Places in the list of words (B, T) -> (B, dim)."""
        return F.normalize(self.project(self.reader(captions)), dim=1)


class AttentionPool(nn.Module):
    """Maps (B, C, H, W) -> (B, dim): the mean over all places asks each of them, in four ways, what it has to say.

    Args:
        channels: maps.
        dim: of the answer.
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, 4, batch_first=True)
        self.project = nn.Linear(channels, dim)

    def forward(self, maps: Tensor) -> Tensor:
        places = maps.flatten(2).mT  # (B, H * W, C)
        mean = places.mean(1, keepdim=True)
        answer, _ = self.attention(mean, places, places, need_weights=False)
        pooled: Tensor = self.project((mean + answer).squeeze(1))
        return pooled


class TextEncoder(nn.Module):
    """Captions (B, T), as places in the list of words -> (B, width).

    Args:
        words: how many there are; word 0 fills up a caption.
        width: of a word's vector.
        depth: encoder layers.
    """

    def __init__(self, words: int, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.width = width
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(torch.randn(LONGEST, width))
        self.layers = nn.ModuleList(encoder_layer(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, captions: Tensor) -> Tensor:
        if captions.shape[1] > LONGEST:
            raise BadInput(f"captions have at most {LONGEST} words, found {captions.shape[1]}")
        blank = captions == 0  # (B, T)
        states = self.words(captions) + self.places[: captions.shape[1]]  # (B, T, width)
        for layer in self.layers:
            states = layer(states, src_key_padding_mask=blank)
        spoken = self.norm(states).masked_fill(blank.unsqueeze(2), 0)
        mean: Tensor = spoken.sum(1) / (~blank).sum(1, keepdim=True)
        return mean


def spoken(captions: Tensor, words: list[str]) -> list[str]:
    """Captions (B, T), as places in the list of words -> as text."""
    return [" ".join(words[word] for word in caption if word) for caption in captions.tolist()]
