"""An encoder and a decoder of texts with attention from each written token to the text that is read.

Sources: Luong, Pham and Manning, Effective approaches to attention-based neural machine translation, EMNLP 2015, for
the attention behind the decoder; Vaswani et al., Attention is all you need, NeurIPS 2017, for the Transformer; See, Liu
and Manning, Get to the point: summarization with pointer-generator networks, ACL 2017, for copying.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.networks import Recurrent, SinusoidalPositions, TransformerDecoder, upcast
from lab.text.network import WordNetwork
from lab.text.tokenizer import PAD

NetworkName = Literal["rnn", "lstm", "gru", "transformer"]
SMALLEST = 1e-9  # of a probability


class EncoderDecoder(nn.Module):
    """Sources (B, S) and the beginnings of targets (B, T), token ids -> log p of the next token (B, T, vocab_size).

    >>> network = EncoderDecoder("gru", vocab_size=50, max_length=16, hidden=32)
    >>> network(torch.tensor([[2, 9, 8, 3]]), torch.tensor([[2, 7]])).shape
    torch.Size([1, 2, 50])

    Args:
        name: rnn, lstm, gru or transformer, for both sides; the encoder reads in both directions.
        vocab_size: how many token ids there are, of both sides together; 0 is padding.
        max_length: tokens of a text, at most.
        hidden: size of the embeddings and of the decoder's states; an even number, of a transformer a multiple of 4.
        depth: layers of the encoder and of the decoder.
        dropout: share of the embeddings and of layers' outputs, from 0 to 1, that are dropped in training.
        copy: a token may be copied from where the attention looks, instead of being chosen from the vocabulary.
    """

    def __init__(
        self,
        name: NetworkName,
        vocab_size: int,
        max_length: int,
        hidden: int = 128,
        depth: int = 2,
        dropout: float = 0.1,
        copy: bool = False,
    ) -> None:
        super().__init__()
        width = hidden if name == "transformer" else hidden // 2  # of each direction
        self.encoder = WordNetwork(name, vocab_size, max_length, hidden, width, depth, True, dropout)
        self.embedding, self.dropout = nn.Embedding(vocab_size, hidden, padding_idx=PAD), nn.Dropout(dropout)
        self.decoder: Recurrent | TransformerDecoder
        if name != "transformer":
            self.decoder = Recurrent(hidden, hidden, name, depth, dropout=dropout)
        else:
            self.positions = SinusoidalPositions(max_length, hidden)
            self.decoder = TransformerDecoder(hidden, depth, dropout=dropout)
        self.attention = nn.MultiheadAttention(hidden, 1, batch_first=True)
        self.combine = nn.Linear(2 * hidden, hidden)
        self.head = nn.Linear(hidden, vocab_size)
        self.chooses = nn.Linear(2 * hidden, 1) if copy else None

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.decode(source, self.encode(source), target)[0]

    def encode(self, source: Tensor) -> Tensor:
        """(B, S) -> (B, S, hidden)."""
        memory: Tensor = self.encoder(source.unsqueeze(2))
        return memory

    def decode(self, source: Tensor, memory: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """log p of the token behind each token of `target` (B, T, vocab_size), and where it looked (B, T, S)."""
        embedded = self.dropout(self.embedding(target))
        if isinstance(self.decoder, Recurrent):
            return self._scores(source, memory, self.decoder(embedded).outputs)
        return self._scores(source, memory, self.decoder(self.positions(embedded), memory, source == PAD))

    def step(self, source: Tensor, memory: Tensor, token: Tensor, state: Any) -> tuple[Tensor, Tensor, Any]:
        """`decode` for one further token of each target, in evaluation.

        Args:
            source: (B, S).
            memory: (B, S, hidden).
            token: (B, 1).
            state: the third value of the step before; None at first.

        Returns:
            log p of the next token (B, 1, vocab_size), where it looked (B, 1, S), and what the decoder knows so far.
        """
        embedded = self.embedding(token)
        if isinstance(self.decoder, Recurrent):
            states, _, state = self.decoder(embedded, state=state)
        else:
            number = state[0].shape[1] if state else 0  # of the token in its target
            states, state = self.decoder.step(self.positions(embedded, number), memory, source == PAD, state or ())
        return (*self._scores(source, memory, states), state)

    def _scores(self, source: Tensor, memory: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        read, weights = self.attention(states, memory, memory, key_padding_mask=source == PAD)
        both = torch.cat([states, read], 2)
        logits = upcast(self.head(self.dropout(torch.tanh(self.combine(both)))))
        if self.chooses is None:
            return F.log_softmax(logits, 2), weights
        generated = torch.sigmoid(upcast(self.chooses(both)))
        places = source.unsqueeze(1).expand(-1, states.shape[1], -1)
        copied = torch.zeros_like(logits).scatter_add(2, places, upcast(weights).to(logits.dtype))
        mixed = generated * logits.softmax(2) + (1 - generated) * copied
        return mixed.clamp(min=SMALLEST).log(), weights
