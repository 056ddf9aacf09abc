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

from lab.errors import BadSetting
from lab.multimodal.clips.network import ClipEncoder
from lab.multimodal.places import Places, num_places
from lab.networks import MLP, upcast
from lab.text.seq2seq.decoder import AttentionDecoder, Memory

DecoderName = Literal["lstm", "lstm_attention", "transformer"]
NUMBERS = 2  # of each place, in the state that an LSTM begins with


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
        self.places, self.num_vectors = Places(channels, width, fixed), num_places(size)
        self.project = nn.Linear(self.places.channels, hidden)
        self.positions = nn.Parameter(0.02 * torch.randn(self.num_vectors, hidden))

    def forward(self, images: Tensor) -> Tensor:
        maps = self.places(images).flatten(2).mT  # (B, S, channels)
        return F.relu(self.project(maps) + self.positions)


class InitialState(nn.Module):
    """Vectors of places or frames (B, S, hidden) -> the state with which an LSTM of some layers begins.

    Two numbers of each place go into it, which are enough for where something is, and too few for what it is: that is
    looked for when its word is due.

    Args:
        places: how many there are, S.
        hidden: size of the vectors and of the state.
        depth: layers of the LSTM.
    """

    def __init__(self, places: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.numbers = nn.Linear(hidden, NUMBERS)
        self.state = MLP(places * NUMBERS, [hidden], 2 * depth * hidden)
        self.shape = (2, depth, hidden)

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        numbers = F.relu(self.numbers(vectors)).flatten(1)
        both = upcast(self.state(numbers)).unflatten(1, self.shape)
        hidden, cell = both.permute(1, 2, 0, 3).contiguous()  # each (depth, B, hidden)
        return hidden, cell


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
        initial_state: whether an LSTM begins with a state that is made from the encoder's vectors, instead of zeros.

    Raises:
        BadSetting: a Transformer is to begin with a state.
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
        initial_state: bool = False,
    ) -> None:
        super().__init__()
        if initial_state and decoder == "transformer":
            raise BadSetting("initial_state", "a Transformer has no state; use network lstm or lstm_attention")
        self.encoder, self.attends = encoder, decoder != "lstm"
        cell: Literal["lstm", "transformer"] = "transformer" if decoder == "transformer" else "lstm"
        self.decoder = AttentionDecoder(cell, vocab_size, max_length, hidden, depth, dropout)
        self.initial_state = InitialState(encoder.num_vectors, hidden, depth) if initial_state else None

    def forward(self, inputs: Tensor, captions: Tensor) -> Tensor:
        scores: Tensor = self.decoder(captions, self.encode(inputs))[0]
        return scores

    def encode(self, inputs: Tensor) -> Memory:
        """The memory of the decoder: vectors (B, S, hidden), or one of them."""
        vectors = self.encoder(inputs)
        state = None if self.initial_state is None else self.initial_state(vectors)
        return Memory(vectors if self.attends else vectors.mean(1, keepdim=True), state=state)
