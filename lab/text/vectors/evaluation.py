"""Word vectors against what is known of words: similar pairs and analogies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.regression import spearman_corrcoef

CHUNK = 512  # questions that are answered at once


class AnalogyScores(NamedTuple):
    """
    Args:
        accuracy: share of the questions that are answered right by the nearest word but for the three given ones.
        with_given_words: the same, where the three given words may be answers.
        chance: of a guess among the words but for the given ones.
        asked: questions all of whose words have a vector.
    """

    accuracy: float
    with_given_words: float
    chance: float
    asked: int


def similarity_correlation(
    vectors: Tensor, index: Mapping[str, int], pairs: Sequence[tuple[str, str, float]]
) -> tuple[float, int]:
    """Spearman's rank correlation of cosines with known similarities, and how many pairs have vectors.

    >>> pairs = [("a", "b", 1.0), ("a", "c", 0.0), ("b", "c", 0.5), ("a", "zebra", 0.5)]
    >>> correlation, known = similarity_correlation(
    ...     torch.tensor([[1.0, 0], [1, 0.5], [0, 1]]), {"a": 0, "b": 1, "c": 2}, pairs
    ... )
    >>> round(correlation, 4), known
    (1.0, 3)

    Args:
        vectors: (V, D).
        index: the row of each word.
        pairs: two words, and how similar they are.
    """
    known = [(index[a], index[b], degree) for a, b, degree in pairs if a in index and b in index]
    if len(known) < 3:
        return float("nan"), len(known)
    unit = F.normalize(vectors.float(), dim=1)
    first, second, degrees = (torch.tensor(each) for each in zip(*known, strict=True))
    cosines = (unit[first] * unit[second]).sum(1)
    return round(float(spearman_corrcoef(cosines, degrees.float())), 6), len(known)


def rare_pairs(index: Mapping[str, int], pairs: Sequence[tuple[str, str, float]]) -> list[tuple[str, str, float]]:
    """The pairs with a word of the rarer half of all words in pairs.

    >>> rare_pairs({"a": 0, "b": 1, "c": 2, "d": 3}, [("a", "b", 1.0), ("a", "c", 0.0), ("c", "d", 0.5)])
    [('a', 'c', 0.0), ('c', 'd', 0.5)]

    Args:
        index: the row of each word, the most frequent words first.
        pairs: two words, and how similar they are.
    """
    known = sorted({word for a, b, _ in pairs for word in (a, b) if word in index}, key=lambda word: index[word])
    rare = set(known[len(known) // 2 :])
    return [pair for pair in pairs if not rare.isdisjoint(pair[:2])]


def analogy_scores(
    vectors: Tensor, index: Mapping[str, int], questions: Sequence[tuple[str, str, str, str]]
) -> AnalogyScores:
    """Answers `a is to b as c is to` by the word whose vector is nearest to b - a + c (3CosAdd).

    >>> vectors = torch.tensor([[1.0, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1]])
    >>> analogy_scores(vectors, {"man": 0, "king": 1, "woman": 2, "queen": 3}, [("man", "king", "woman", "queen")])
    AnalogyScores(accuracy=1.0, with_given_words=1.0, chance=1.0, asked=1)

    Args:
        vectors: (V, D).
        index: the row of each word.
        questions: four words each.
    """
    rows = [[index[word] for word in four] for four in questions if all(word in index for word in four)]
    if not rows:
        return AnalogyScores(float("nan"), float("nan"), float("nan"), 0)
    words = torch.tensor(sorted(index.values()))
    unit = F.normalize(vectors.float(), dim=1)
    candidates, right, anywhere = unit[words], 0, 0
    for four in torch.tensor(rows).split(CHUNK):
        a, b, c, d = four.T
        scores = (unit[b] - unit[a] + unit[c]) @ candidates.T
        anywhere += int((words[scores.argmax(1)] == d).sum())
        scores.scatter_(1, torch.searchsorted(words, four[:, :3].contiguous()), -torch.inf)
        right += int((words[scores.argmax(1)] == d).sum())
    return AnalogyScores(right / len(rows), anywhere / len(rows), 1 / (len(words) - 3), len(rows))
