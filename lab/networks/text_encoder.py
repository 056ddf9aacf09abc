"""A small Transformer from token ids to one embedding."""

from __future__ import annotations

from torch import Tensor, nn

from lab.networks.positions import LearnedPositions
from lab.networks.transformer import TransformerEncoder

PADDING = 0  # the token id that fills up a text


class TextEncoder(nn.Module):
    """Token ids (B, T) -> (B, width): the mean of what the Transformer makes of all tokens but padding.

    >>> TextEncoder(vocab_size=100)(torch.tensor([[5, 7, 3], [9, 0, 0]])).shape
    torch.Size([2, 64])

    Args:
        vocab_size: how many token ids there are; id 0 is padding.
        width: of a token's vector.
        depth: layers of the Transformer.
        max_length: tokens of a text, at most.
        heads: of the attention, which divide the width.
        dropout: share of each block's outputs, and of attention, that are dropped in training, from 0 to 1.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 64,
        depth: int = 2,
        max_length: int = 32,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(vocab_size, width)
        self.positions = LearnedPositions(max_length, width)
        self.transformer = TransformerEncoder(width, depth, heads, dropout=dropout)

    def forward(self, token_ids: Tensor) -> Tensor:
        """Texts with one token at least, and at most `max_length`.

        Raises:
            BadInput: they are longer.
        """
        padding = token_ids == PADDING  # (B, T)
        states = self.transformer(self.positions(self.embedding(token_ids)), padding)  # (B, T, width)
        total = states.masked_fill(padding.unsqueeze(2), 0).sum(1)
        mean: Tensor = total / (~padding).sum(1, keepdim=True)
        return mean
