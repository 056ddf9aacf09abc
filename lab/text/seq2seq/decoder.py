"""A decoder of texts: it writes token by token, with attention from each token to what is described or translated.

Sources: Luong, Pham and Manning, Effective approaches to attention-based neural machine translation, EMNLP 2015, for
the attention behind the decoder; Vaswani et al., Attention is all you need, NeurIPS 2017, for the Transformer; See, Liu
and Manning, Get to the point: summarization with pointer-generator networks, ACL 2017, for copying.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.networks import Recurrent, SinusoidalPositions, TransformerDecoder, upcast
from lab.text.tokenizer import BEGIN, END, PAD

DecoderName = Literal["rnn", "lstm", "gru", "transformer"]
SMALLEST = 1e-9  # of a probability


class Memory(NamedTuple):
    """The memory that a decoder reads.

    Args:
        vectors: (B, S, hidden).
        padding: (B, S), True where it is filled up; None where nothing is.
        tokens: (B, S), the token that stands at each place, for a decoder that copies.
        state: with which a recurrent decoder begins, as `Recurrent` has it; None for zeros.
    """

    vectors: Tensor
    padding: Tensor | None = None
    tokens: Tensor | None = None
    state: Any = None


class AttentionDecoder(nn.Module):
    """The beginnings of texts, token ids (B, T), beside a memory -> log p of the next token (B, T, vocab_size).

    >>> decoder = AttentionDecoder("gru", vocab_size=50, max_length=16, hidden=32)
    >>> scores, looked = decoder(torch.tensor([[2, 7]]), Memory(torch.zeros(1, 9, 32)))
    >>> scores.shape, looked.shape
    (torch.Size([1, 2, 50]), torch.Size([1, 2, 9]))

    Args:
        name: rnn, lstm, gru or transformer.
        vocab_size: how many token ids there are; 0 is padding.
        max_length: tokens of a text, at most.
        hidden: size of the embeddings, of the states and of the memory's vectors.
        depth: layers.
        dropout: share of the embeddings and of layers' outputs, from 0 to 1, that are dropped in training.
        copy: a token may be copied from where the attention looks, instead of being chosen from the vocabulary.
    """

    def __init__(
        self,
        name: DecoderName,
        vocab_size: int,
        max_length: int,
        hidden: int = 128,
        depth: int = 2,
        dropout: float = 0.1,
        copy: bool = False,
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.embedding, self.dropout = nn.Embedding(vocab_size, hidden, padding_idx=PAD), nn.Dropout(dropout)
        self.layers: Recurrent | TransformerDecoder
        if name != "transformer":
            self.layers = Recurrent(hidden, hidden, name, depth, dropout=dropout)
        else:
            self.positions = SinusoidalPositions(max_length, hidden)
            self.layers = TransformerDecoder(hidden, depth, dropout=dropout)
        self.attention = nn.MultiheadAttention(hidden, 1, batch_first=True)
        self.combine = nn.Linear(2 * hidden, hidden)
        self.head = nn.Linear(hidden, vocab_size)
        self.chooses = nn.Linear(2 * hidden, 1) if copy else None

    def forward(self, target: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """log p of the token behind each token of `target` (B, T, vocab_size), and where it looked (B, T, S)."""
        embedded = self.dropout(self.embedding(target))
        if isinstance(self.layers, Recurrent):
            return self._scores(self.layers(embedded, state=memory.state).outputs, memory)
        return self._scores(self.layers(self.positions(embedded), memory.vectors, memory.padding), memory)

    def step(self, token: Tensor, memory: Memory, state: Any) -> tuple[Tensor, Tensor, Any]:
        """`forward` for one further token of each target, in evaluation.

        Args:
            token: (B, 1).
            memory: as in `forward`.
            state: the third value of the step before; None at first.

        Returns:
            log p of the next token (B, 1, vocab_size), where it looked (B, 1, S), and what the decoder knows so far.
        """
        embedded = self.embedding(token)
        if isinstance(self.layers, Recurrent):
            states, _, state = self.layers(embedded, state=memory.state if state is None else state)
        else:
            number = state[0].shape[1] if state else 0  # of the token in its target
            positioned = self.positions(embedded, number)
            states, state = self.layers.step(positioned, memory.vectors, memory.padding, state or ())
        return (*self._scores(states, memory), state)

    @torch.no_grad()
    def write(self, memory: Memory) -> tuple[Tensor, Tensor]:
        """The most probable tokens behind each other (B, T), and where they looked (B, T - 1, S)."""
        (count, places, _), device, state = memory.vectors.shape, memory.vectors.device, None
        token = torch.full((count, 1), BEGIN, device=device)
        ended = torch.zeros_like(token, dtype=torch.bool)
        tokens, looked = [token], [memory.vectors.new_zeros(count, 0, places)]
        while len(tokens) < self.max_length and not bool(ended.all()):
            scores, weights, state = self.step(token, memory, state)
            token = scores.argmax(2).masked_fill(ended, PAD)
            ended |= token == END
            tokens.append(token)
            looked.append(weights)
        return torch.cat(tokens, 1), torch.cat(looked, 1)

    def _scores(self, states: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        read, weights = self.attention(states, memory.vectors, memory.vectors, key_padding_mask=memory.padding)
        both = torch.cat([states, read], 2)
        logits = upcast(self.head(self.dropout(torch.tanh(self.combine(both)))))
        if self.chooses is None or memory.tokens is None:
            return F.log_softmax(logits, 2), weights
        generated = torch.sigmoid(upcast(self.chooses(both)))
        places = memory.tokens.unsqueeze(1).expand(-1, states.shape[1], -1)
        copied = torch.zeros_like(logits).scatter_add(2, places, upcast(weights).to(logits.dtype))
        mixed = generated * logits.softmax(2) + (1 - generated) * copied
        return mixed.clamp(min=SMALLEST).log(), weights
