"""Names of classes as people write them into their files."""

from __future__ import annotations

import warnings
from collections.abc import Iterable


def warn_near_duplicates(names: Iterable[str], where: object) -> None:
    """Warns if two names differ in nothing but case and space: most such pairs are one class, written in two ways.

    >>> warn_near_duplicates(["cat", "dog"], "pets.csv")

    Args:
        names: of classes, tags or categories, in any order.
        where: they were read from.
    """
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault("".join(name.casefold().split()), name)
        if other != name and len(name) > 1:  # of letters, `a` and `A` are two
            words = f"{where} has {other!r} and {name!r}, which count as two"
            warnings.warn(f"{words}; write them alike if they mean the same", stacklevel=3)
            return
