"""A table of tensors: columns by name with one entry for each row, also rows of different length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import Tensor

Rows = Tensor | slice | Sequence[int]  # which rows: their numbers, a mask (N,), or a slice


@dataclass(frozen=True)
class Ragged:
    """N rows of different length, end to end: such as texts of token ids, or series of steps.

    >>> tokens = Ragged.from_rows([torch.tensor([5, 6, 7]), torch.tensor([8])])
    >>> tokens[0], tokens.lengths
    (tensor([5, 6, 7]), tensor([3, 1]))
    >>> values, mask = tokens.padded()
    >>> values
    tensor([[5, 6, 7],
            [8, 0, 0]])
    >>> mask
    tensor([[ True,  True,  True],
            [ True, False, False]])

    Args:
        values: the entries of all rows, (V, ...).
        offsets: where each row begins in `values`, and where the last one ends, (N + 1,) int64.

    Raises:
        ValueError: the offsets do not begin at 0, fall, or do not end where the values do.
    """

    values: Tensor
    offsets: Tensor

    def __post_init__(self) -> None:
        if self.offsets.device.type != "cpu":  # a GPU would have to be waited for, in every batch
            return
        first, last = (int(self.offsets[i]) if len(self.offsets) else -1 for i in (0, -1))
        if first != 0 or last != len(self.values) or bool((self.offsets.diff() < 0).any()):
            raise ValueError(
                f"offsets rise from 0 to the number of values, {len(self.values)}; found {first} to {last}"
            )

    @classmethod
    def from_rows(cls, rows: Sequence[Tensor]) -> Ragged:
        """One tensor (T_i, ...) for each row, all of one dtype.

        Raises:
            ValueError: there is none, so that nothing says the dtype.
        """
        if not rows:
            raise ValueError("no rows, so dtype and shape are unknown; give values and offsets instead")
        return cls(torch.cat(list(rows)), _offsets(torch.tensor([len(row) for row in rows])))

    @property
    def lengths(self) -> Tensor:
        """The number of values in each row, (N,) int64."""
        return self.offsets.diff()

    @property
    def device(self) -> torch.device:
        """The device of the values."""
        return self.values.device

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, rows: int) -> Tensor: ...
    @overload
    def __getitem__(self, rows: Rows) -> Ragged: ...
    def __getitem__(self, rows: int | Rows) -> Tensor | Ragged:
        """The values (T, ...) of one row, or the rows that are asked for."""
        if isinstance(rows, int):
            if not -len(self) <= rows < len(self):
                raise IndexError(f"row {rows} of {len(self)}")
            rows %= len(self)
            return self.values[self.offsets[rows] : self.offsets[rows + 1]]
        lengths, starts = _take(self.lengths, rows), _take(self.offsets[:-1], rows)
        offsets = _offsets(lengths)
        shift = (starts - offsets[:-1]).repeat_interleave(lengths)
        return Ragged(self.values[torch.arange(len(shift), device=self.device) + shift], offsets)

    def to(self, device: torch.device | str) -> Ragged:
        """The same rows on that device."""
        return Ragged(self.values.to(device), self.offsets.to(device))

    def truncated(self, length: int) -> Ragged:
        """The same rows without what stands behind their first `length` values.

        >>> Ragged.from_rows([torch.tensor([5, 6, 7]), torch.tensor([8])]).truncated(2).values
        tensor([5, 6, 8])
        """
        values, mask = self.padded(length=length)
        return Ragged(values[mask], _offsets(self.lengths.clamp(max=length)))

    def padded(self, fill: float = 0, length: int | None = None) -> tuple[Tensor, Tensor]:
        """The rows as one tensor (N, T, ...), and a mask (N, T) that is true where a value stands.

        Args:
            fill: what stands behind the end of a row.
            length: T; by default that of the longest row. Longer rows lose their end.
        """
        lengths = self.lengths
        steps = torch.arange(int(lengths.max()) if length is None and len(self) else length or 0, device=self.device)
        mask = steps < lengths.unsqueeze(1)
        places = (self.offsets[:-1].unsqueeze(1) + steps)[mask]
        dense = self.values.new_full((*mask.shape, *self.values.shape[1:]), fill)
        dense[mask] = self.values[places]
        return dense, mask


Column = Tensor | Ragged


@dataclass(frozen=True)
class Table:
    """Columns of N rows each, on one device. Indexing by rows gives a table, indexing by a name a column.

    >>> table = Table({"x": torch.arange(4.0), "label": torch.tensor([0, 1, 0, 1])})
    >>> len(table), "label" in table
    (4, True)
    >>> table[table["label"] == 1]["x"]
    tensor([1., 3.])

    Args:
        columns: tensors (N, ...) or ragged rows by name.

    Raises:
        ValueError: the columns do not have one number of rows, or there are none.
    """

    columns: Mapping[str, Column]

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) != 1:
            found = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise ValueError(f"all columns of a table need the same number of rows; found {found or 'no column'}")

    @property
    def device(self) -> torch.device:
        """The device of the columns."""
        return next(iter(self.columns.values())).device

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    @overload
    def __getitem__(self, key: str) -> Any: ...
    @overload
    def __getitem__(self, key: Rows) -> Table: ...
    def __getitem__(self, key: str | Rows) -> Any:
        """The column of that name, a tensor or ragged; or a table of the rows that are asked for."""
        if isinstance(key, str):
            return self.columns[key]
        return Table({name: _take(column, key) for name, column in self.columns.items()})

    def assign(self, columns: Mapping[str, Column]) -> Table:
        """This table with these columns besides, or in the place of those of the same name."""
        return Table({**self.columns, **columns})

    def to(self, device: torch.device | str) -> Table:
        """The same rows on that device."""
        return Table({name: column.to(device) for name, column in self.columns.items()})

    def padded(self, fill: float = 0, length: int | None = None) -> dict[str, Tensor]:
        """All columns as tensors; a ragged one becomes (N, T, ...), beside a mask (N, T) called `NAME_mask`.

        >>> words = Ragged.from_rows([torch.tensor([5, 6]), torch.tensor([7])])
        >>> Table({"words": words}).padded()["words_mask"]
        tensor([[ True,  True],
                [ True, False]])

        Args:
            fill: what stands behind the end of a row.
            length: T; by default that of the longest row. Longer rows lose their end.
        """
        batch: dict[str, Tensor] = {}
        for name, column in self.columns.items():
            if isinstance(column, Ragged):
                batch[name], batch[f"{name}_mask"] = column.padded(fill, length)
            else:
                batch[name] = column
        return batch


def concat(tables: Iterable[Table]) -> Table:
    """The rows of several tables with the same columns, one table after the other.

    >>> len(concat([Table({"x": torch.zeros(2)}), Table({"x": torch.ones(3)})]))
    5

    Raises:
        ValueError: there is no table, or one has other columns than the first.
    """
    several = list(tables)
    names = list(several[0].columns) if several else []
    if not several or any(set(table.columns) != set(names) for table in several):
        raise ValueError("only tables with the same columns can be concatenated")
    return Table({name: _joined([table.columns[name] for table in several]) for name in names})


def _joined(columns: Sequence[Column]) -> Column:
    ragged = [column for column in columns if isinstance(column, Ragged)]
    if not ragged:
        return torch.cat([column for column in columns if isinstance(column, Tensor)])
    return Ragged(torch.cat([each.values for each in ragged]), _offsets(torch.cat([each.lengths for each in ragged])))


def _offsets(lengths: Tensor) -> Tensor:
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])


@overload
def _take(column: Tensor, rows: Rows) -> Tensor: ...
@overload
def _take(column: Ragged, rows: Rows) -> Ragged: ...
def _take(column: Column, rows: Rows) -> Column:
    """Some rows. Whole numbers go to `index_select`, which is faster than indexing."""
    if isinstance(rows, int):
        raise TypeError(f"rows are a slice, a list or a tensor; found the number {rows}")
    if not isinstance(rows, slice | Tensor):
        rows = torch.tensor(rows, dtype=torch.int64, device=column.device)
    if isinstance(column, Ragged):
        return column[rows]
    if isinstance(rows, Tensor) and rows.dtype == torch.int64 and rows.ndim == 1:
        return column.index_select(0, rows)
    return column[rows]
