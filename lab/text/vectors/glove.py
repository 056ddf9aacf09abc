"""GloVe: dot products of word vectors fit the logarithm of how often two words meet.

Source: Pennington, Socher and Manning, GloVe: Global vectors for word representation, EMNLP 2014.
"""

from __future__ import annotations

from torch import Tensor, nn

from lab.networks import upcast
from lab.text.vectors.objectives import WordEmbeddings

COMMON = 100.0  # co-occurrences from which on a pair has the weight 1
WEIGHT_POWER = 0.75


class GloVe(WordEmbeddings):
    """Pairs of words (B, P, 2) and how often they meet (B, P) -> the mean loss of a row's pairs, (B,).

    Args:
        vocab_size: how many words there are.
        vector_size: of a word.
        sparse: a step changes the vectors of its own words alone.
    """

    def __init__(self, vocab_size: int, vector_size: int, sparse: bool = False) -> None:
        super().__init__(vocab_size, vector_size, sparse, context_zeros=False)
        self.biases = nn.Embedding(vocab_size, 1, sparse=sparse)
        self.context_biases = nn.Embedding(vocab_size, 1, sparse=sparse)
        for table in (self.biases, self.context_biases):
            nn.init.zeros_(table.weight)

    def loss(self, pairs: Tensor, counts: Tensor) -> Tensor:
        """The mean over the pairs of each row, (B,); a pair that never met has no weight."""
        word, context = pairs.unbind(2)
        scores = (self.vectors(word) * self.context_vectors(context)).sum(2)
        scores = upcast(scores) + (self.biases(word) + self.context_biases(context)).squeeze(2)
        errors = scores - counts.clamp(min=1e-9).log()
        mean: Tensor = (errors.square() * (counts / COMMON).pow(WEIGHT_POWER).clamp(max=1)).mean(1)
        return mean

    def word_vectors(self) -> Tensor:
        """(V, D), of every word: the sum of both of its vectors."""
        return (self.vectors.weight + self.context_vectors.weight).detach()
