"""Permutation importance: the fall of a test's score when a column is shuffled.

Source: Breiman, Random forests, Machine Learning 45, 2001, as scikit-learn's `permutation_importance`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

REPEATS = 10


def permutation_importance(
    score: Callable[[Tensor], float], x: Tensor, groups: Mapping[str, Sequence[int]]
) -> dict[str, Tensor]:
    """The fall of the score by column, (REPEATS,) each, one for each shuffle.

    >>> x = torch.stack([torch.arange(50.0), torch.ones(50)], 1)
    >>> score = lambda rows: -float((rows[:, 0] - x[:, 0]).abs().mean())
    >>> falls = permutation_importance(score, x, {"a": [0], "b": [1]})
    >>> bool((falls["a"] > 5).all()), bool((falls["b"] == 0).all())
    (True, True)

    Args:
        score: of rows (N, F), of which more is better.
        x: the rows.
        groups: the inputs that belong to a column and are shuffled together.
    """
    random = torch.Generator().manual_seed(0)
    whole, falls = score(x), {}
    for name, inputs in groups.items():
        found = []
        for _ in range(REPEATS):
            shuffled = x.clone()
            order = torch.randperm(len(x), generator=random).to(x.device)
            shuffled[:, list(inputs)] = x[order][:, list(inputs)]
            found.append(whole - score(shuffled))
        falls[name] = torch.tensor(found)
    return falls
