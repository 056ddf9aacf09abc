"""Counts of tokens and of pairs of tokens as language models, which stand beside every network."""

from __future__ import annotations

import torch
from torch import Tensor

PRIOR = 10.0  # tokens that the smaller model is worth in the larger one's counts


def ngram_losses(tokens: Tensor, vocab_size: int, test_windows: Tensor) -> dict[str, float]:
    """The mean of -log p over the predicted tokens of a test, in nats.

    `unigram` counts single tokens, each once more than it occurs. `bigram` counts what follows on each token, with the
    unigram as a prior (Dirichlet smoothing).

    >>> windows = torch.tensor([[0, 1, 0, 1]])
    >>> {name: round(loss, 2) for name, loss in ngram_losses(torch.tensor([0, 1] * 50), 4, windows).items()}
    {'unigram': 0.71, 'bigram': 0.09}

    Args:
        tokens: to count, (V,).
        vocab_size: how many token ids there are.
        test_windows: (N, T), in which each token but the first is predicted.
    """
    counts = tokens.bincount(minlength=vocab_size).double() + 1
    unigram = counts / counts.sum()
    before, predicted = test_windows[:, :-1].flatten(), test_windows[:, 1:].flatten()
    pairs, pair_counts = (tokens[:-1] * vocab_size + tokens[1:]).unique(return_counts=True)
    wanted = before * vocab_size + predicted
    place = torch.searchsorted(pairs, wanted).clamp(max=len(pairs) - 1)
    seen = torch.where(pairs[place] == wanted, pair_counts[place], 0)
    followed = tokens[:-1].bincount(minlength=vocab_size)[before]
    bigram = (seen + PRIOR * unigram[predicted]) / (followed + PRIOR)
    return {"unigram": float(-unigram[predicted].log().mean()), "bigram": float(-bigram.log().mean())}
