"""Networks from the tokens of a text to one vector, or to one for each word, by name."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lab.errors import unknown_name
from lab.networks import SequenceNetwork
from lab.networks.recurrent import CELLS
from lab.networks.transformers_model import TRANSFORMERS
from lab.text.tokenizer import PAD

TextNetworkName = Literal["bag", "rnn", "lstm", "gru", "tcn", "transformer"]
NAMES = get_args(TextNetworkName)
BERT = f"{TRANSFORMERS}bert-base-uncased"  # one of many


class TextNetwork(nn.Module):
    """Token ids (B, T), padded with 0 -> one vector (B, out_features) for each text.

    >>> TextNetwork("lstm", vocab_size=100, max_length=8)(torch.tensor([[5, 7, 3], [9, 0, 0]])).shape
    torch.Size([2, 128])

    A bag is the mean of the tokens' embeddings. Recurrent networks that read in both directions are two stacks, one of
    which reads the text from its end; what they end with stands side by side.

    Args:
        name: bag, rnn, lstm, gru, tcn (temporal convolution) or transformer.
        vocab_size: how many token ids there are.
        max_length: tokens of a text, at most.
        embed_dim: size of a token's embedding.
        hidden: size of a recurrent state in each direction, channels of a convolution, width of a Transformer.
        depth: layers, from 1.
        bidirectional: every token sees the whole text; otherwise itself and those before it.
        dropout: share of the embeddings and of layers' outputs, from 0 to 1, that are dropped in training.

    Raises:
        BadSetting: there is no such network.
    """

    def __init__(
        self,
        name: str,
        vocab_size: int,
        max_length: int,
        embed_dim: int = 64,
        hidden: int = 64,
        depth: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if name not in NAMES:
            raise unknown_name("network", name, [*NAMES, BERT], {"bert": BERT})
        self.embedding, self.dropout = nn.Embedding(vocab_size, embed_dim, padding_idx=PAD), nn.Dropout(dropout)
        readers: list[SequenceNetwork] = []
        self.recurrent = name in CELLS
        for _ in range(0 if name == "bag" else 2 if self.recurrent and bidirectional else 1):
            both = bidirectional and not self.recurrent
            settings = {"depth": depth, "bidirectional": both, "dropout": dropout, "max_length": max_length}
            readers.append(SequenceNetwork(name, embed_dim, hidden, **settings))  # type: ignore[arg-type]
        self.readers = nn.ModuleList(readers)
        self.out_features = sum(reader.out_features for reader in readers) or embed_dim

    def forward(self, tokens: Tensor) -> Tensor:
        """Texts with one token at least, and at most `max_length`."""
        lengths = (tokens != PAD).sum(1)  # (B,)
        embedded = self.dropout(self.embedding(tokens))  # (B, T, embed_dim), 0 behind the end
        if not self.readers:
            mean: Tensor = embedded.sum(1) / lengths.unsqueeze(1)
            return mean
        if not self.recurrent:
            last: Tensor = self.readers[0](embedded, lengths).last
            return last
        # what lies behind the end comes after the step that is looked at, and so changes nothing
        inputs = (embedded, backwards(embedded, lengths))
        outputs = [reader(x).outputs for reader, x in zip(self.readers, inputs, strict=False)]
        # not `len`, which would fix the batch size of an exported model
        rows = torch.arange(tokens.shape[0], device=tokens.device)
        return torch.cat([each[rows, lengths - 1] for each in outputs], 1)


class WordNetwork(TextNetwork):
    """Words as token ids (B, T, pieces), padded with 0 -> one vector for each word, (B, T, out_features)."""

    def forward(self, tokens: Tensor) -> Tensor:
        real = (tokens != PAD).sum(2)  # tokens of each word, (B, T)
        lengths = (real > 0).sum(1)
        words = self.dropout(self.embedding(tokens).sum(2) / real.clamp(min=1).unsqueeze(2))
        if not self.readers:
            found: Tensor = words
            return found
        if not self.recurrent:
            outputs: Tensor = self.readers[0](words, lengths).outputs
            return outputs
        both = [self.readers[0](words).outputs]
        if len(self.readers) > 1:
            both.append(backwards(self.readers[1](backwards(words, lengths)).outputs, lengths))
        return torch.cat(both, 2)


def backwards(x: Tensor, lengths: Tensor) -> Tensor:
    """Sequences (B, T, F) from their ends to their beginnings; what lies behind the end stays there.

    >>> backwards(torch.tensor([[[1], [2], [3]], [[4], [5], [0]]]), torch.tensor([3, 2])).squeeze(2).tolist()
    [[3, 2, 1], [5, 4, 0]]

    Args:
        x: each sequence from its first step on.
        lengths: (B,) from 1 to T.
    """
    steps = torch.arange(x.shape[1], device=x.device)
    order = lengths.unsqueeze(1) - 1 - steps
    order = torch.where(order >= 0, order, steps)
    return x.gather(1, order.unsqueeze(2).expand_as(x))
