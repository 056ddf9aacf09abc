"""Rows of generated data that all differ."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from random import Random
from typing import Literal, TypeVar

Row = TypeVar("Row")


def distinct(
    write: Callable[[Random], Row],
    random: Random,
    count: int,
    others: Sequence[Row] = (),
    key: Callable[[Row], Hashable] = repr,
) -> list[Row]:
    """The first rows that `write` makes and that are not in `others`; none comes twice.

    >>> distinct(lambda random: random.randint(1, 4), Random(0), 3, others=[4])
    [1, 3, 2]

    Args:
        write: makes a row.
        random: the generator that it is given.
        count: how many rows.
        others: rows that are left out.
        key: rows with the same are the same.
    """
    seen = set(map(key, others))
    rows: list[Row] = []
    while len(rows) < count:
        row = write(random)
        if (found := key(row)) not in seen:
            seen.add(found)
            rows.append(row)
    return rows


def rows_of_split(
    write: Callable[[Random], Row],
    split: Literal["train", "test"],
    seed: int,
    train_rows: int,
    test_rows: int,
    key: Callable[[Row], Hashable] = repr,
) -> list[Row]:
    """The rows of a split. Those of the test are the same for any number of rows to learn from, and none is among them.

    >>> rows_of_split(lambda random: random.randint(1, 4), "train", seed=0, train_rows=2, test_rows=2)
    [1, 3]

    Args:
        write: makes a row.
        split: the split.
        seed: of all rows.
        train_rows: how many there are to learn from.
        test_rows: how many there are for the test.
        key: rows with the same are the same.
    """
    tested = distinct(write, Random(f"test {seed}"), test_rows, key=key)
    return tested if split == "test" else distinct(write, Random(seed), train_rows, tested, key)
