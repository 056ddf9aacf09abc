"""A Transformer whose positions see the tokens up to their own.

Sources: Radford et al., Language models are unsupervised multitask learners, 2019, for the network; Press and Wolf,
Using the output embedding to improve language models, EACL 2017, for the weights that embedding and output share.

The blocks are its own, because a training with torch's layer, which `TransformerEncoder` stacks, takes some 5 % longer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.networks import Dropout, LearnedPositions

INIT_STD = 0.02  # of the first embeddings, as in GPT-2: logits begin near 0


class GPT(nn.Module):
    """Token ids (B, T) -> logits (B, T, vocab_size), of which each sees the tokens up to its own.

    >>> GPT(vocab_size=50, context=8, width=16, depth=1)(torch.zeros(2, 8, dtype=torch.int64)).shape
    torch.Size([2, 8, 50])

    Args:
        vocab_size: how many token ids there are.
        context: tokens that it sees at once; longer inputs are refused.
        width: size of a token's vector.
        depth: layers.
        heads: of the attention, which divide the width.
        dropout: share, from 0 to 1, of the embeddings, of attention and of blocks' outputs that are dropped in
            training.
    """

    def __init__(
        self, vocab_size: int, context: int, width: int, depth: int, heads: int = 4, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        nn.init.normal_(self.embedding.weight, std=INIT_STD)
        self.positions = LearnedPositions(context, width, std=INIT_STD)
        self.dropout = Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        states = self.blocks(self.dropout(self.positions(self.embedding(tokens))))
        return F.linear(self.norm(states), self.embedding.weight)


class Block(nn.Module):
    """Attention to what came before, and a perceptron, each behind a normalisation: (B, T, width) -> (B, T, width).

    Args:
        width: size of the vectors.
        heads: of the attention, which divide the width.
        dropout: share of attention, of the hidden layer and of both outputs that is dropped in training.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, Dropout(dropout)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        nn.init.xavier_uniform_(self.qkv.weight)
        for layer in (self.qkv, self.project):
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(self.norm1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        read = self._attend(query, key, value).transpose(1, 2).flatten(2)
        x = x + self.dropout(self.project(read))
        hidden = self.dropout(F.gelu(self.up(self.norm2(x))))
        outputs: Tensor = self.dropout(self.down(hidden))
        return x + outputs

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(B, heads, T, width / heads), by one kernel unless weights are dropped on a CPU, for which torch has none."""
        share = self.dropout.p if self.training else 0.0
        if not share or query.device.type != "cpu":
            return F.scaled_dot_product_attention(query, key, value, dropout_p=share, is_causal=True)
        later = torch.full((query.shape[2], query.shape[2]), -math.inf, dtype=query.dtype).triu(1)
        scores = query @ key.mT / math.sqrt(query.shape[3]) + later
        shares: Tensor = self.dropout(scores.softmax(3))
        return shares @ value
