"""The folder of data sets, and a cache of what is slow to generate, to decode or to train."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from lab import files
from lab.data.table import Column, Ragged, Table


def root() -> Path:
    """The folder of all data sets: `LAB_DATA`, or `data` in the current folder.

    >>> os.environ["LAB_DATA"] = "/srv/data"
    >>> str(root() / "mnist")
    '/srv/data/mnist'
    """
    return Path(os.environ.get("LAB_DATA") or "data")


def cached(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Tensors and plain values by name, from `cache/NAME.pt` in `root()` if they have been made before.

    A file that is damaged is made anew. A folder that cannot be written is no error: the values are here all the same.

    >>> made = cached("squares", lambda: {"x": torch.arange(3) ** 2})
    >>> cached("squares", dict)["x"]  # from the file, so that `dict` is not called
    tensor([0, 1, 4])

    Args:
        name: of the file; whatever decides the values has to be in it.
        make: called where there is no file.
    """
    path = root() / "cache" / f"{name}.pt"
    try:
        stored: dict[str, Any] = files.load(path)
        return stored
    except (FileNotFoundError, files.Corrupt):
        made = make()
    draft = path.with_name(f"{path.name}.{os.getpid()}")  # several processes may make it at the same time
    with contextlib.suppress(OSError):
        files.save(made, draft)
        draft.replace(path)
    return made


def cached_table(name: str, make: Callable[[], Table]) -> Table:
    """The same for a table, from `cache/NAME.table.pt`.

    >>> len(cached_table("ramp", lambda: Table({"x": torch.arange(5.0)})))
    5

    Args:
        name: of the file; whatever decides the rows has to be in it.
        make: called where there is no file.
    """

    def made() -> dict[str, Any]:
        return {name: _plain(column) for name, column in make().columns.items()}

    return Table({name: _column(stored) for name, stored in cached(f"{name}.table", made).items()})


def _plain(column: Column) -> Any:
    if isinstance(column, Ragged):
        return {"values": column.values.clone(), "offsets": column.offsets.clone()}
    return column.clone()  # a view would be stored with all that it is a view of


def _column(stored: Any) -> Column:
    return stored if isinstance(stored, Tensor) else Ragged(stored["values"], stored["offsets"])
