"""Some examples of a test for its plots: the first ones, and those with the largest errors."""

from __future__ import annotations

import torch
from torch import Tensor


class Examples:
    """Keeps so many of both kinds, with what is known of them; nothing else of a batch stays in memory.

    >>> kept = Examples(num_first=1, num_worst=2)
    >>> kept.add({"x": torch.arange(4)}, errors=torch.tensor([0.1, 0.9, 0.2, 0.5]))
    >>> kept.first["x"], kept.worst["x"]
    (tensor([0]), tensor([1, 3]))

    Args:
        num_first: examples from the beginning, from 0.
        num_worst: examples with the largest errors, from 0.
    """

    def __init__(self, num_first: int, num_worst: int) -> None:
        self.num_first, self.num_worst = num_first, num_worst
        self.first: dict[str, Tensor] = {}
        self.worst: dict[str, Tensor] = {}
        self._errors = torch.empty(0)  # of the worst ones

    def add(self, rows: dict[str, Tensor], errors: Tensor) -> None:
        """Takes a batch: tensors with a row for each of its examples, and the error of each, (B,); NaN counts as 0."""
        missing = self.num_first - (len(next(iter(self.first.values()))) if self.first else 0)
        if missing > 0:
            self.first = _joined(self.first, {name: values[:missing] for name, values in rows.items()})
        if self.num_worst:
            errors = errors.nan_to_num(0)
            known = torch.cat([self._errors, errors]) if self.worst else errors
            everything = _joined(self.worst, rows)
            chosen = known.topk(min(self.num_worst, len(known))).indices
            self.worst, self._errors = {name: values[chosen] for name, values in everything.items()}, known[chosen]


def _joined(before: dict[str, Tensor], rows: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.cat([before[name], values]) for name, values in rows.items()} if before else rows
