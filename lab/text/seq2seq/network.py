"""An encoder of texts and a decoder with attention from each written token to the text that is read."""

from __future__ import annotations

from torch import Tensor, nn

from lab.text.network import WordNetwork
from lab.text.seq2seq.decoder import AttentionDecoder, DecoderName, Memory
from lab.text.tokenizer import PAD


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
        name: DecoderName,
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
        self.decoder = AttentionDecoder(name, vocab_size, max_length, hidden, depth, dropout, copy)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        scores: Tensor = self.decoder(target, self.encode(source))[0]
        return scores

    def encode(self, source: Tensor) -> Memory:
        """(B, S) -> vectors (B, S, hidden), with the tokens themselves."""
        return Memory(self.encoder(source.unsqueeze(2)), source == PAD, source)

    def write(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """The most probable tokens behind each other (B, T), and where they looked (B, T - 1, S)."""
        return self.decoder.write(self.encode(source))
