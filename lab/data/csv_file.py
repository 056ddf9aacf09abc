"""CSV files of numbers: read as they are, or refused in one line that names the file, the row and the column."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from lab.data.text_file import read_text
from lab.errors import BadSetting, nearest

Gaps = Literal["refuse", "drop", "interpolate"]
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)  # float() takes 1_000 and `infinity` besides
NO_VALUE = ("", "na", "nan", "null")
TIMES = ("", "%d-%b-%y", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y/%m/%d %H:%M")  # the first one is ISO 8601
SECONDS = re.compile(r"\d{10}|\d{13}", re.ASCII)  # since 1970, or thousandths of them
SHOWN = 40  # characters of a cell in a message
LARGEST = 1e18  # of a number: tensors have single precision, in which the square of a larger one is infinite


@dataclass(frozen=True)
class CsvFile:
    """The cells of a CSV file as text, with the line that each row comes from.

    >>> from lab.data import root
    >>> root().mkdir(exist_ok=True)
    >>> path = root() / "prices.csv"
    >>> _ = path.write_text("day,price\\n2026-01-01,5.5\\n2026-01-02,\\n2026-01-03,6.5\\n")
    >>> file = read_csv(path)
    >>> file.names, file.numbers("price", gaps="interpolate")
    (('day', 'price'), [5.5, 6.0, 6.5])

    Args:
        path: of the file.
        names: of the columns; their numbers from 1, where the file does not name them.
        rows: the cells of each row.
        lines: where each row ends in the file, from 1.
    """

    path: Path
    names: tuple[str, ...]
    rows: tuple[Sequence[str], ...]
    lines: tuple[int, ...]

    def numeric(self) -> list[str]:
        """The columns in which any cell is a number."""
        return [name for i, name in enumerate(self.names) if any(_is_number(row[i]) for row in self.rows)]

    def numbers(self, name: str, gaps: Gaps | None = None) -> list[float]:
        """The finite numbers of a column, from the first row to the last.

        Args:
            name: of the column.
            gaps: cells without a value (empty, NA, NaN or null) are refused; or their rows are dropped; or they are
                interpolated between their neighbours, if they have some on both sides. None refuses them for a task
                without the setting `gaps`.

        Raises:
            BadSetting: there is no such column, or a cell is no number.
        """
        if name not in self.names:
            known = ", ".join(self.names)
            raise BadSetting(
                "column", f"{self.path} has no column {name!r}{nearest(name, self.names) or f'; it has {known}'}"
            )
        place = self.names.index(name)
        values = [self._number(line, name, row[place], gaps) for line, row in zip(self.lines, self.rows, strict=True)]
        if gaps != "interpolate":
            return [value for value in values if value is not None]
        known_at = [i for i, value in enumerate(values) if value is not None]
        if values and (not known_at or known_at[0] > 0 or known_at[-1] < len(values) - 1):
            line = self.lines[0 if not known_at or known_at[0] > 0 else known_at[-1] + 1]
            raise BadSetting(
                "gaps", f"{self.path}:{line}: column {name}: a gap at an end has no neighbours on both sides; drop it"
            )
        return _interpolated(values)

    def check_order(self) -> None:
        """
        Raises:
            BadSetting: a column holds times, and they do not rise: the rows are not from the oldest to the newest, or
                several have one time.
        """
        for place, name in enumerate(self.names):
            cells = [row[place].strip() for row in self.rows]
            readings: list[Sequence[Any]] = [read for form in TIMES if (read := _times(cells, form)) is not None]
            if all(map(SECONDS.fullmatch, cells)):
                readings.append([int(cell) for cell in cells])
            if not readings or any(all(a < b for a, b in pairwise(times)) for times in readings):
                continue
            times = next((times for times in readings if all(a <= b for a, b in pairwise(times))), readings[0])
            i = next(i for i, (a, b) in enumerate(pairwise(times)) if a >= b)
            where = f"{self.path}:{self.lines[i + 1]}: column {name}: {cells[i + 1]} comes"
            if times[i] == times[i + 1]:
                advice = "a series has one row for each time; choose one, or leave the column out if it is no time"
                raise BadSetting("path", f"{where} twice; {advice}")
            raise BadSetting("path", f"{where} after {cells[i]}; sort the rows from the oldest to the newest")

    def _number(self, line: int, name: str, cell: str, gaps: Gaps | None) -> float | None:
        if _is_number(cell):
            if abs(float(cell)) > LARGEST:
                raise BadSetting("path", f"{self.path}:{line}: column {name}: {cell.strip()} is beyond {LARGEST:g}")
            return float(cell)
        where, shown = f"{self.path}:{line}: column {name}", repr(cell[:SHOWN])
        if cell.strip().lower() not in NO_VALUE:
            raise BadSetting("path", f"{where}: expected a number, found {shown}")
        if gaps in (None, "refuse"):
            found = f"no value ({shown})" if cell.strip() else "no value"
            advice = "fill it in" if gaps is None else "fill it in, or set `gaps` to drop or interpolate"
            raise BadSetting("path", f"{where}: {found}; {advice}")
        return None


def read_csv(path: Path, delimiter: str = ",", encoding: str | None = None, comment: str = "#") -> CsvFile:
    """All cells of a file. Its first row names the columns, if no cell of it is a number.

    >>> from lab.data import root
    >>> root().mkdir(exist_ok=True)
    >>> path = root() / "bare.csv"
    >>> _ = path.write_text("# two columns\\n1;2\\n3;4\\n")
    >>> read_csv(path, delimiter=";").names
    ('1', '2')

    Args:
        path: of the file.
        delimiter: between two cells.
        encoding: of the text, by Python's name; None is UTF-8 for a task without the settings `encoding` and
            `delimiter`, which no message names then.
        comment: rows that begin with it are left out; empty if there are none.

    Raises:
        BadSetting: it cannot be read, has no rows, has text of another encoding, or rows of different lengths.
    """
    numbered = [
        (line, row)
        for line, row in _rows(path, read_text(path, encoding), delimiter)
        if row and not (comment and row[0].lstrip().startswith(comment))
    ]
    if not numbered:
        raise BadSetting("path", f"{path} is empty")
    first = numbered[0][1]
    named = not any(map(_is_number, first))
    names = tuple(cell.strip() for cell in first) if named else tuple(map(str, range(1, len(first) + 1)))
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise BadSetting("path", f"{path}:{numbered[0][0]}: two columns are called {twice[0]!r}")
    if len(names) == 1 and (other := [each for each in ";\t|" if each in first[0] and each != delimiter]):
        advice = f"separate them by {delimiter!r}" if encoding is None else f"set `delimiter` to {other[0]!r}"
        raise BadSetting("path", f"{path} has one column, with {other[0]!r} in it; {advice}")
    body = numbered[1:] if named else numbered
    for line, row in body:
        if len(row) != len(names):
            raise BadSetting(
                "path", f"{path}:{line}: expected {len(names)} cells as in the first row, found {len(row)}"
            )
    if not body:
        raise BadSetting("path", f"{path} has the names of columns and no rows")
    return CsvFile(path, names, tuple(row for _, row in body), tuple(line for line, _ in body))


def _rows(path: Path, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise BadSetting("delimiter", f"expected one character, found {delimiter!r}")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise BadSetting("path", f"{path}:{reader.line_num}: {error}") from None


def _is_number(cell: str) -> bool:
    text = cell.strip()
    return NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


def _times(cells: Sequence[str], form: str) -> list[datetime] | None:
    """The times of a column that has nothing else."""
    try:
        times = [
            datetime.strptime(cell.strip(), form) if form else datetime.fromisoformat(cell.strip()) for cell in cells
        ]
        return times if len({time.tzinfo is None for time in times}) == 1 else None
    except ValueError:
        return None


def _interpolated(values: Sequence[float | None]) -> list[float]:
    found: list[float] = []
    for i, value in enumerate(values):
        if value is None:
            last = found[-1]
            ahead, later = next((k, later) for k, later in enumerate(values[i:], start=1) if later is not None)
            value = last + (later - last) / ahead
        found.append(value)
    return found
