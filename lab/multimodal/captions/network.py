"""An encoder of images or clips, and a decoder that writes a sentence.

Sources: Vinyals et al., Show and tell, CVPR 2015, for the LSTM that reads one vector of the image; Xu et al., Show,
attend and tell, ICML 2015, for the attention to places of the image. Deviations: the vector is read beside every word
instead of before the first one, and the attention stands behind the LSTM, as in the task `seq2seq`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.multimodal.clips.network import ClipEncoder
from lab.multimodal.places import Places, num_places
from lab.text.seq2seq.decoder import AttentionDecoder, Memory

DecoderName = Literal["lstm", "lstm_attention", "transformer"]


class ImagePlaces(nn.Module):
    """Normalised images (B, C, H, W) -> a vector for each place of the feature maps, row by row: (B, S, hidden).

    Args:
        channels: of an image.
        size: height and width of an image.
        hidden: size of the vectors.
        width: channels of the first convolution.
        fixed: as in `Places`.
    """

    def __init__(self, channels: int, size: int, hidden: int, width: int, fixed: bool = False) -> None:
        super().__init__()
        self.places = Places(channels, width, fixed)
        self.project = nn.Linear(self.places.channels, hidden)
        self.positions = nn.Parameter(0.02 * torch.randn(num_places(size), hidden))

    def forward(self, images: Tensor) -> Tensor:
        maps = self.places(images).flatten(2).mT  # (B, S, channels)
        return F.relu(self.project(maps) + self.positions)


class CaptionNetwork(nn.Module):
    """Normalised images or clips and the beginnings of captions (B, L) -> log p of the next token (B, L, vocab_size).

    Args:
        encoder: from images or clips to vectors (B, S, hidden).
        decoder: lstm, which reads the mean of the vectors; lstm_attention and transformer, which look at each.
        vocab_size: how many token ids there are.
        max_length: tokens of a caption, at most.
        hidden: size of the vectors; a multiple of 4.
        depth: layers of the decoder.
        dropout: share of layers' outputs, from 0 to 1, that are dropped in training.
    """

    def __init__(
        self,
        encoder: ImagePlaces | ClipEncoder,
        decoder: DecoderName,
        vocab_size: int,
        max_length: int,
        hidden: int,
        depth: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.encoder, self.attends = encoder, decoder != "lstm"
        cell: Literal["lstm", "transformer"] = "transformer" if decoder == "transformer" else "lstm"
        self.decoder = AttentionDecoder(cell, vocab_size, max_length, hidden, depth, dropout)

    def forward(self, inputs: Tensor, captions: Tensor) -> Tensor:
        scores: Tensor = self.decoder(captions, self.encode(inputs))[0]
        return scores

    def encode(self, inputs: Tensor) -> Memory:
        """The memory of the decoder: vectors (B, S, hidden), or one of them."""
        vectors = self.encoder(inputs)
        return Memory(vectors if self.attends else vectors.mean(1, keepdim=True))
