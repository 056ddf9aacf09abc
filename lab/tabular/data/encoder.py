"""From rows with missing values and categories to numbers: what the training rows say, applied to all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lab.data import warn_near_duplicates
from lab.errors import BadSetting

if TYPE_CHECKING:
    from pandas import DataFrame

Missing = Literal["refuse", "drop", "mean", "median"]
MOST_CATEGORIES = 100  # of a column; more are names or free text


class Column(NamedTuple):
    """
    Args:
        name: of the column in the file.
        fill: takes the place of a missing value.
        categories: known from the training rows, each an input of 0 or 1; empty for a column of numbers.
    """

    name: str
    fill: float | str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoder:
    """Numbers as they are, categories as one input for each (one-hot); all 0 for one that no training row has.

    >>> from pandas import DataFrame
    >>> rows = DataFrame({"rooms": [3.0, 5.0, None], "town": ["Ulm", "Bonn", "Ulm"]})
    >>> encoder = Encoder.fit(rows, "mean", "houses.csv")
    >>> encoder.feature_names
    ('rooms', 'town=Bonn', 'town=Ulm')
    >>> encoder(rows)[2].tolist()
    [4.0, 0.0, 1.0]

    Args:
        columns: one for each column of the file.
    """

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, rows: DataFrame, missing: Missing, source: str) -> Encoder:
        """
        Args:
            rows: for training.
            missing: a missing number becomes the mean or the median of its column, a missing category the most frequent
                one.
            source: name of the file or data set, for messages.

        Raises:
            BadSetting: a column has no value at all, or too many categories.
        """
        columns = []
        for name in rows.columns:
            known = rows[name].dropna()
            if not len(known):
                raise BadSetting("drop", f"column {name} of {source} has no value in any training row; leave it out")
            if known.dtype == np.float64:
                columns.append(Column(name, float(known.median() if missing == "median" else known.mean())))
                continue
            counts = known.value_counts()
            if len(counts) > min(MOST_CATEGORIES, max(2, len(known) // 2)):
                found = f"{len(counts)} different texts in {len(known)} training rows are no categories"
                raise BadSetting("drop", f"column {name} of {source}: {found}; leave it out, or group them")
            warn_near_duplicates(counts.index, f"column {name} of {source}")
            most = min(counts.index[counts == counts.max()])
            columns.append(Column(name, most, tuple(sorted(counts.index))))
        return cls(tuple(columns))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the encoded inputs, `column` or `column=category`."""
        named = ([f"{each.name}={value}" for value in each.categories] or [each.name] for each in self.columns)
        return tuple(chain.from_iterable(named))

    @property
    def groups(self) -> dict[str, list[int]]:
        """The encoded inputs of each column."""
        found, first = {}, 0
        for each in self.columns:
            size = max(1, len(each.categories))
            found[each.name] = list(range(first, first + size))
            first += size
        return found

    def __call__(self, rows: DataFrame) -> Tensor:
        """Rows of the same columns -> (N, inputs)."""
        parts = []
        for each in self.columns:
            values = rows[each.name].fillna(each.fill).to_numpy()
            if each.categories:
                parts.append(np.stack([values == value for value in each.categories], 1).astype(np.float64))
            else:
                parts.append(values[:, None])
        return torch.from_numpy(np.concatenate(parts, 1)).float()
