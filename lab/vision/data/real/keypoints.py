"""The facial key-points CSV: 30 columns of coordinates, empty where unknown, and 96x96 grey values in `Image`."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lab.data import Table, read_text
from lab.errors import BadInput, BadSetting
from lab.vision.data.generated.faces import POINTS, SIZE

ROOM = SIZE / 2  # pixels by which a point that is not in the picture may lie outside
COLUMNS = tuple(f"{point}_{axis}" for point in POINTS for axis in "xy")


def load(path: Path) -> Table:
    """Every row, with `points` in the order of `POINTS`.

    Raises:
        BadInput: a column is missing, or a row is not what the header promises.
    """
    pictures, points = [], []
    csv.field_size_limit(1 << 20)
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
    names = rows.fieldnames or ()
    _check_names(path, names)
    try:
        for row in rows:
            if None in row or None in row.values():  # a cell too many, or one too few
                words = f"not one value for each of the {len(names)} columns"
                raise BadInput(f"{path}:{rows.line_num}: {words}")
            picture = np.array(row["Image"].split(), dtype=np.uint8)
            points.append([_coordinate(f"{path}:{rows.line_num}: column {name}", row[name]) for name in COLUMNS])
            if picture.size != SIZE * SIZE:
                words = f"the image has {picture.size} grey values; expected {SIZE} x {SIZE} = {SIZE * SIZE}"
                raise BadInput(f"{path}:{rows.line_num}: {words}")
            pictures.append(picture)
    except (ValueError, OverflowError, csv.Error) as error:
        raise BadInput(f"{path}:{rows.line_num}: {error}") from None
    if not pictures:
        raise BadInput(f"{path} has a header and no rows")
    images = torch.from_numpy(np.stack(pictures)).view(-1, 1, SIZE, SIZE)
    return Table({"image": images, "points": torch.tensor(points).view(-1, len(POINTS), 2)})


def check_header(path: Path) -> None:
    """Refuses a file by its first line, without reading its pictures.

    Raises:
        BadSetting: a column is missing, or there twice, or the line cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            _check_names(path, next(csv.reader(file), []))
    except OSError as error:
        raise BadSetting("path", f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadSetting("path", f"{path} is no text in UTF-8 ({error.reason})") from None
    except (BadInput, csv.Error) as error:
        raise BadSetting("path", str(error)) from None


def _check_names(path: Path, names: Sequence[str]) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise BadInput(f"{path}:1: two columns are called {twice[0]!r}")
    if missing := [name for name in (*COLUMNS, "Image") if name not in names]:
        raise BadInput(f"{path}:1: no column {missing[0]!r}; expected the 30 of the key points, and Image")


def _coordinate(where: str, cell: str) -> float:
    """A coordinate in pixels; NaN where the cell is empty, which says that it is not known."""
    if not cell.strip():
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        raise BadInput(f"{where}: expected a number, found {cell[:40]!r}") from None
    if not -ROOM <= value <= SIZE + ROOM:
        raise BadInput(f"{where}: {cell.strip()} lies far outside an image of {SIZE} x {SIZE} pixels")
    return value
