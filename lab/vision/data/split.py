"""Which images are for training, which for validation, and which keep their labels."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.vision.data.images import Images


def balanced(images: Images, seed: int) -> Tensor:
    """A random order of all rows in which every stretch has about the same share of each class as the whole."""
    shuffled = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    if "label" not in images.targets:
        return shuffled
    labels = images.targets["label"][shuffled]
    counts = labels.bincount()
    by_class = labels.argsort(stable=True)
    first = (counts.cumsum(0) - counts)[labels[by_class]]
    place = torch.empty(len(labels), dtype=torch.float64)  # of a row among those of its class, from 0 to 1
    place[by_class] = (torch.arange(len(labels)) - first + 0.5).double() / counts[labels[by_class]]
    return shuffled[place.argsort(stable=True)]


def halves(order: Tensor, val_fraction: float, fold: int | None, folds: int | None) -> tuple[Tensor, Tensor]:
    """Rows for training and rows for validation: a fraction, or one fold of several."""
    if folds is not None and fold is not None:
        parts = list(order.tensor_split(folds))
        val = parts.pop(fold)
        return torch.cat(parts), val
    count = max(1, round(len(order) * val_fraction))
    return order[count:], order[:count]
