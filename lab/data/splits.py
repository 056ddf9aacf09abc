"""Splits of rows into training, validation and test: by fraction or fold, stratified, by group, or along time.

Every function works on numbers of rows and gives numbers of rows, so that it serves any table: `table[train]`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lab.errors import BadSetting


def check_fold(fold: int | None, folds: int | None) -> None:
    """Refuses a fold that does not exist, and a fold without the number of folds.

    >>> check_fold(fold=4, folds=5)
    >>> check_fold(fold=5, folds=5)
    Traceback (most recent call last):
        ...
    lab.errors.BadSetting: fold: expected 0 to 4, found 5

    Args:
        fold: the part that validates, from 0 to `folds` - 1; None where there are none.
        folds: how many parts there are; None where there are none.

    Raises:
        BadSetting: there is one without the other, or no such fold.
    """
    if (fold is None) != (folds is None):
        raise BadSetting("fold", "give both folds (how many) and fold (the one for validation), or neither")
    if fold is not None and folds is not None and fold >= folds:
        raise BadSetting("fold", f"expected 0 to {folds - 1}, found {fold}")


def train_val_split(
    order: Tensor, val_fraction: float, fold: int | None = None, folds: int | None = None
) -> tuple[Tensor, Tensor]:
    """Rows for training and rows for validation, each (n,), of those in `order` (N,).

    >>> train_val_split(torch.arange(5), 0.4)
    (tensor([2, 3, 4]), tensor([0, 1]))
    >>> train_val_split(torch.arange(5), 0.4, fold=1, folds=5)
    (tensor([0, 2, 3, 4]), tensor([1]))

    Args:
        order: the rows, (N,), shuffled: by `torch.randperm`, or by `stratified_permutation`.
        val_fraction: share that validates, from 0 to 1, one row at least; without a meaning where there are folds.
        fold: which part validates, from 0 to `folds` - 1.
        folds: how many parts there are.

    Raises:
        BadSetting: a part would have no rows.
    """
    rows = f"{len(order)} row{'s' * (len(order) != 1)}"
    if folds is not None and fold is not None:
        if folds > len(order):
            raise BadSetting("folds", f"{folds} parts are more than {rows}")
        parts = list(order.tensor_split(folds))
        val = parts.pop(fold)
        return torch.cat(parts), val
    count = max(1, round(len(order) * val_fraction))
    if count >= len(order):
        raise BadSetting("val_fraction", f"{count} of {rows} leave none to train on")
    return order[count:], order[:count]


def train_val_test_split(
    order: Tensor, val_fraction: float, test_fraction: float, fold: int | None = None, folds: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows for training, validation and test, each (n,), of those in `order` (N,); two at least are for the test.

    >>> train_val_test_split(torch.arange(10), 0.2, 0.2)
    (tensor([4, 5, 6, 7, 8, 9]), tensor([2, 3]), tensor([0, 1]))

    Args:
        order: the rows, (N,), shuffled.
        val_fraction: share of all rows that validates, from 0 to 1; without a meaning where there are folds.
        test_fraction: share of all rows that is for the test, from 0 to 1.
        fold: which part of the rows outside the test validates, from 0 to `folds` - 1.
        folds: how many parts there are.

    Raises:
        BadSetting: a part would have no rows.
    """
    tested = max(2, round(len(order) * test_fraction))
    left = order[tested:]
    train, val = train_val_split(left, val_fraction * len(order) / len(left), fold, folds)
    return train, val, order[:tested]


def check_count(source: object, count: int, rows: str, least: int) -> None:
    """Refuses a file that has too few rows to be divided.

    >>> check_count("prices.csv", 10, "rows", least=10)

    Args:
        source: what they are from.
        count: how many there are.
        rows: what they are, such as `pairs`.
        least: how many are needed.

    Raises:
        BadSetting: there are fewer.
    """
    if count < least:
        raise BadSetting("path", f"{source} has {count} {rows}; {least} are needed to train, validate and test")


def stratified_permutation(labels: Tensor, seed: int) -> Tensor:
    """A random order (N,) of all rows in which every stretch has about the share of each class that the whole has.

    >>> order = stratified_permutation(torch.tensor([0, 0, 0, 0, 1, 1]), seed=0)
    >>> [int((order[i : i + 3] >= 4).sum()) for i in (0, 3)]
    [1, 1]

    Args:
        labels: the class of each row, (N,) whole numbers from 0.
        seed: of the order.
    """
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    labels = labels[shuffled]
    counts = labels.bincount()
    by_class = labels.argsort(stable=True)
    first = (counts.cumsum(0) - counts)[labels[by_class]]
    place = torch.empty(len(labels), dtype=torch.float64)  # of a row among those of its class, from 0 to 1
    place[by_class] = (torch.arange(len(labels)) - first + 0.5).double() / counts[labels[by_class]]
    return shuffled[place.argsort(stable=True)]


def group_train_val_split(
    groups: Tensor, val_fraction: float, seed: int, fold: int | None = None, folds: int | None = None
) -> tuple[Tensor, Tensor]:
    """Rows for training and for validation, in order, such that no group has rows in both.

    >>> group_train_val_split(torch.tensor([7, 7, 9, 9, 9]), 0.5, seed=0)
    (tensor([2, 3, 4]), tensor([0, 1]))

    Args:
        groups: the group of each row, (N,) whole numbers: a person, a file, a recording.
        val_fraction: share of the groups that validates, from 0 to 1; one group at least.
        seed: which groups those are.
        fold: which part of the groups validates, from 0 to `folds` - 1.
        folds: how many parts there are.

    Raises:
        BadSetting: a part would have no groups.
    """
    known = groups.unique()
    order = known[torch.randperm(len(known), generator=torch.Generator().manual_seed(seed))]
    _, val = train_val_split(order, val_fraction, fold, folds)
    validates = torch.isin(groups, val)
    return (~validates).nonzero().squeeze(1), validates.nonzero().squeeze(1)


def time_series_split(
    count: int,
    val_fraction: float,
    test_fraction: float = 0.0,
    gap: int = 0,
    fold: int | None = None,
    folds: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows for training, validation and test along time: first what is learnt from, last what tests.

    >>> time_series_split(10, val_fraction=0.2, test_fraction=0.3, gap=1)
    (tensor([0, 1, 2]), tensor([4, 5]), tensor([7, 8, 9]))

    Folds are those of scikit-learn's TimeSeriesSplit: each validates on the stretch after all that it has learnt from.

    >>> [time_series_split(10, 0.2, test_fraction=0.3, fold=fold, folds=2)[:2] for fold in (0, 1)]
    [(tensor([0, 1, 2]), tensor([3, 4])), (tensor([0, 1, 2, 3, 4]), tensor([5, 6]))]

    Args:
        count: how many rows there are, the oldest first.
        val_fraction: share that validates, from 0 to 1; without a meaning where there are folds.
        test_fraction: share that tests, from 0 to 1.
        gap: rows, from 0, left out before validation and before the test, which would share what a window sees.
        fold: which stretch validates, from 0 to `folds` - 1.
        folds: how many stretches there are, besides the first one, which is only learnt from.

    Raises:
        BadSetting: that leaves none to train with.
    """
    test = round(count * test_fraction)
    begin_test = count - test
    end_val = begin_test - (gap if test else 0)
    if folds is not None and fold is not None:
        val = end_val // (folds + 1)
        end_val -= (folds - 1 - fold) * val
    else:
        val = round(count * val_fraction)
    end_train = end_val - val - (gap if val else 0)
    if end_train < 1 or (folds is not None and val < 1):
        key = "val_fraction" if folds is None else "folds"
        fewer = "smaller fractions" if folds is None else "fewer folds"
        raise BadSetting(key, f"{count} rows in time order leave none for training; use {fewer}")
    return torch.arange(end_train), torch.arange(end_val - val, end_val), torch.arange(begin_test, count)
