"""Rows of features as a pandas DataFrame, from CSV or Parquet, or refused in one line that names file and column."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.data import CsvFile, read_csv
from lab.data.csv_file import LARGEST, NO_VALUE
from lab.errors import BadSetting, error_text

if TYPE_CHECKING:
    from pandas import DataFrame, Series

PARQUET = (".parquet", ".pq")
OTHERWISE = re.compile(r"[-+$€£]?\s?\d[\d.,'\s]*[%€$£]?")  # a number in another notation, or a date of numbers


def read_frame(path: Path, delimiter: str = ",", encoding: str = "utf-8", categories: Sequence[str] = ()) -> DataFrame:
    """The columns of a file: numbers as float64 with NaN, categories as text with None where there is no value.

    A column is a category if it is named in `categories`, or if none of its cells is a number.

    >>> from lab.data import root
    >>> root().mkdir(exist_ok=True)
    >>> path = root() / "houses.csv"
    >>> _ = path.write_text("rooms,town\\n3,Ulm\\n,Bonn\\n")
    >>> read_frame(path)["rooms"].tolist(), read_frame(path)["town"].tolist()
    ([3.0, nan], ['Ulm', 'Bonn'])

    Raises:
        BadSetting: the file cannot be read, or a column has numbers and texts, or is neither.
    """
    import pandas as pd

    if path.suffix.lower() in PARQUET:
        return _parquet(path, categories)
    file = read_csv(path, delimiter, encoding)
    _check_known(path, categories, list(file.names))
    numeric = set(file.numeric()) - set(categories)
    cells = {name: [row[i].strip() for row in file.rows] for i, name in enumerate(file.names)}
    for name in cells.keys() - numeric - set(categories):
        _check_notation(file, name, cells[name])
    return pd.DataFrame(
        {name: _numbers(file, name, column) if name in numeric else _texts(column) for name, column in cells.items()}
    )


def _check_notation(file: CsvFile, name: str, cells: list[str]) -> None:
    """Refuses a column that would be taken for categories because its numbers are written in another way."""
    known = [(line, cell) for line, cell in zip(file.lines, cells, strict=True) if cell.lower() not in NO_VALUE]
    if known and all(OTHERWISE.fullmatch(cell) for _, cell in known):
        line, cell = known[0]
        found = f"{file.path}:{line}: column {name}: {cell!r} is no number as Python writes it"
        raise BadSetting("path", f"{found}; write 1234.5, or name {name} in data.categories if it is a category")


def _texts(cells: list[str]) -> Series[str]:
    from pandas import Series

    return Series([None if cell.lower() in NO_VALUE else cell for cell in cells], dtype=object)


def _numbers(file: CsvFile, name: str, cells: list[str]) -> list[float]:
    missing = [cell.lower() in NO_VALUE for cell in cells]
    known = CsvFile(
        file.path,
        (name,),
        tuple([cell] for cell, gap in zip(cells, missing, strict=True) if not gap),
        tuple(line for line, gap in zip(file.lines, missing, strict=True) if not gap),
    )
    try:
        values = iter(known.numbers(name))
    except BadSetting as error:
        advice = f"correct it, or name {name} in data.categories if it is a category"
        raise BadSetting("path", f"{error.message}; {advice}") from None
    return [math.nan if gap else next(values) for gap in missing]


def _parquet(path: Path, categories: Sequence[str]) -> DataFrame:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except OSError as error:
        raise BadSetting("path", f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # pyarrow's own classes
        raise BadSetting("path", f"{path} is no Parquet file: {error_text(error)}") from None
    if frame.empty:
        raise BadSetting("path", f"{path} is empty")
    frame.columns = [str(name) for name in frame.columns]
    _check_known(path, categories, list(frame.columns))
    return pd.DataFrame({name: _column(path, frame[name], name in categories) for name in frame.columns})


def _column(path: Path, column: Series[str], category: bool) -> Series[str]:
    import pandas as pd

    kind = column.dtype
    if not category and (pd.api.types.is_bool_dtype(kind) or pd.api.types.is_numeric_dtype(kind)):
        values = pd.to_numeric(column).astype("float64").reset_index(drop=True)
        if beyond := values.index[values.abs() > LARGEST].tolist():
            found = f"row {beyond[0] + 1} is {values[beyond[0]]:g}, beyond {LARGEST:g}"
            raise BadSetting("path", f"{path}: column {column.name}: {found}")
        return values
    known = column[column.notna()]
    texts = pd.api.types.is_numeric_dtype(kind) or known.map(lambda value: isinstance(value, str | bool)).all()
    if not texts:
        found = type(known.iloc[0]).__name__
        advice = "make it a number or a text, or leave it out by data.drop"
        raise BadSetting("path", f"{path}: column {column.name} holds values of type {found}; {advice}")
    return pd.Series([None if pd.isna(value) else str(value) for value in column], dtype=object)


def _check_known(path: Path, names: Sequence[str], columns: Sequence[str]) -> None:
    for name in names:
        if name not in columns:
            raise BadSetting("categories", f"{path} has no column {name!r}; it has {', '.join(columns)}")
