"""Rows of generated data that all differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

Row = TypeVar("Row")


def distinct(write: Callable[[Random], Row], random: Random, count: int, others: Sequence[Row] = ()) -> list[Row]:
    """The first rows that `write` makes and that are not in `others`, such as those of the test; none comes twice.

    >>> distinct(lambda random: random.randint(1, 4), Random(0), 3, others=[4])
    [1, 3, 2]
    """
    seen = {repr(other) for other in others}
    rows: list[Row] = []
    while len(rows) < count:
        row = write(random)
        if (key := repr(row)) not in seen:
            seen.add(key)
            rows.append(row)
    return rows
