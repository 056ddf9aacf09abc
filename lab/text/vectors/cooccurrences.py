"""Counts of the pairs of words that meet, for GloVe."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lab.data import Table


def cooccurrences(tokens: Tensor, vocab_size: int, window: int) -> tuple[Tensor, Tensor]:
    """Pairs of words (P, 2) and how often they meet within a window (P,); at a distance of d words by 1 / d.

    >>> pairs, counts = cooccurrences(torch.tensor([4, 5, 4]), vocab_size=6, window=2)
    >>> pairs.tolist(), counts.tolist()
    ([[4, 4], [4, 5], [5, 4]], [1.0, 2.0, 2.0])
    """
    numbers, weights = [], []
    for distance in range(1, min(window, len(tokens) - 1) + 1):
        numbers.append(tokens[:-distance] * vocab_size + tokens[distance:])
        weights.append(torch.full((len(tokens) - distance,), 1 / distance, dtype=torch.float64))
    known, place = torch.cat(numbers).unique(return_inverse=True)
    counts = torch.from_numpy(np.bincount(place.numpy(), torch.cat(weights).numpy()))
    first, second = known // vocab_size, known % vocab_size
    both = torch.cat([known, second * vocab_size + first])
    known, place = both.unique(return_inverse=True)
    counts = torch.from_numpy(np.bincount(place.numpy(), counts.repeat(2).numpy()))
    return torch.stack([known // vocab_size, known % vocab_size], 1), counts.float()


def rows_of_pairs(tokens: Tensor, vocab_size: int, window: int, length: int, scale: float = 1.0) -> Table:
    """Pairs in a random order, in rows, and their counts times `scale`; what the last row lacks has the count 0."""
    pairs, counts = cooccurrences(tokens, vocab_size, window)
    counts *= scale
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))
    missing = -len(order) % length
    pairs = F.pad(pairs[order], (0, 0, 0, missing))
    counts = F.pad(counts[order], (0, missing))
    return Table({"pairs": pairs.view(-1, length, 2), "counts": counts.view(-1, length)})
