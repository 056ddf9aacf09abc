"""The facial key-points CSV: 30 columns of coordinates, empty where unknown, and 96x96 grey values in `Image`."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import torch

from lab.data import Table, read_text
from lab.errors import BadInput
from lab.vision.data.generated.faces import POINTS, SIZE

COLUMNS = tuple(f"{point}_{axis}" for point in POINTS for axis in "xy")


def load(path: Path) -> Table:
    """Every row, with `points` in the order of `POINTS`.

    Raises:
        BadInput: a column is missing, or a row is not what the header promises.
    """
    pictures, points = [], []
    csv.field_size_limit(1 << 20)
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        if missing := [name for name in (*COLUMNS, "Image") if name not in (rows.fieldnames or ())]:
            raise BadInput(f"{path}:1: no column {missing[0]!r}; expected the 30 of the key points, and Image")
        for row in rows:
            if None in row or None in row.values():  # a cell too many, or one too few
                words = f"not one value for each of the {len(rows.fieldnames or ())} columns"
                raise BadInput(f"{path}:{rows.line_num}: {words}")
            picture = np.array(row["Image"].split(), dtype=np.uint8)
            points.append([float(row[name]) if row[name] else np.nan for name in COLUMNS])
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
