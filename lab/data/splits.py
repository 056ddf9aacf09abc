"""Which rows of a set are for training, and which for validation: a fraction, or one fold of several."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.errors import BadSetting


def check_fold(fold: int | None, folds: int | None) -> None:
    """
    Raises:
        BadSetting: there is one without the other, or no such fold.
    """
    if (fold is None) != (folds is None):
        raise BadSetting("fold", "folds says how many parts there are, fold which one validates; give both or none")
    if fold is not None and folds is not None and fold >= folds:
        raise BadSetting("fold", f"expected 0 to {folds - 1}, found {fold}")


def halves(order: Tensor, val_fraction: float, fold: int | None, folds: int | None) -> tuple[Tensor, Tensor]:
    """Rows for training and rows for validation, of those in `order` (N,).

    Args:
        order: the rows, shuffled.
        val_fraction: share that validates, unless there are folds.
        fold: which part validates, from 0.
        folds: how many parts there are.
    """
    if folds is not None and fold is not None:
        parts = list(order.tensor_split(folds))
        val = parts.pop(fold)
        return torch.cat(parts), val
    count = max(1, round(len(order) * val_fraction))
    return order[count:], order[:count]
