"""The image encoder and the text encoder of CLIP.

Source: Radford et al., Learning transferable visual models from natural language supervision, ICML 2021. Far smaller
here, and in three things not the same: images go through a plain CNN; words are whole; and the text Transformer sees
the words on both sides and answers with their mean, where theirs sees what came before and answers with the last one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.networks import TextEncoder
from lab.vision.networks.image_encoder import ImageEncoder

MAX_LENGTH = 32  # words of a caption
TEMPERATURE = 0.07  # at the beginning, as in the paper


class CLIP(nn.Module):
    """Images and captions -> vectors (B, embed_dim) of length 1; their inner products are similarities.

    Args:
        channels: of an image.
        vocab_size: how many words there are; word 0 is padding.
        embed_dim: size of the shared space.
    """

    def __init__(self, channels: int, vocab_size: int, embed_dim: int) -> None:
        super().__init__()
        self.encoder = ImageEncoder(channels)
        self.pool = AttentionPool(self.encoder.channels, embed_dim)
        self.text_encoder = TextEncoder(vocab_size, max_length=MAX_LENGTH)
        self.project = nn.Linear(self.text_encoder.width, embed_dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / TEMPERATURE)))

    def encode_image(self, images: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) -> (B, embed_dim)."""
        return F.normalize(self.pool(self.encoder(images)), dim=1)

    def encode_text(self, captions: Tensor) -> Tensor:
        """Token ids (B, T) -> (B, embed_dim)."""
        return F.normalize(self.project(self.text_encoder(captions)), dim=1)


class AttentionPool(nn.Module):
    """Feature maps (B, C, H, W) -> (B, embed_dim): attention with four heads; its query is the mean of all positions.

    Args:
        channels: maps.
        embed_dim: size of the output.
    """

    def __init__(self, channels: int, embed_dim: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, 4, batch_first=True)
        self.project = nn.Linear(channels, embed_dim)

    def forward(self, maps: Tensor) -> Tensor:
        positions = maps.flatten(2).mT  # (B, H * W, C)
        mean = positions.mean(1, keepdim=True)
        attended, _ = self.attention(mean, positions, positions, need_weights=False)
        pooled: Tensor = self.project((mean + attended).squeeze(1))
        return pooled


def captions_to_text(captions: Tensor, vocabulary: list[str]) -> list[str]:
    """Token ids (B, T) -> the captions as text; token 0, which is padding, is left out."""
    return [" ".join(vocabulary[token] for token in caption if token) for caption in captions.tolist()]
