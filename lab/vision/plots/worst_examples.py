"""Some images of a test for the pictures: the first ones, and those that went worst."""

from __future__ import annotations

import torch
from torch import Tensor

Shown = dict[str, Tensor]  # a row for each image, by what it is


class Gallery:
    """Keeps so many of both kinds, with what is known of them; nothing else of a batch stays in memory.

    Args:
        count: images of each kind.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.first: Shown = {}
        self.worst: Shown = {}
        self._badness = torch.empty(0)  # of the worst ones

    def add(self, seen: Shown, badness: Tensor) -> None:
        """Takes a batch: tensors with a row for each of its images, and how badly each of them went, (B,)."""
        if not self.first:
            self.first = {name: values[: self.count] for name, values in seen.items()}
            self.worst, self._badness = seen, badness
        else:
            self.worst = {name: torch.cat([self.worst[name], values]) for name, values in seen.items()}
            self._badness = torch.cat([self._badness, badness])
        rows = self._badness.topk(min(self.count, len(self._badness))).indices
        self.worst, self._badness = {name: values[rows] for name, values in self.worst.items()}, self._badness[rows]
