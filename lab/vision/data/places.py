"""Where sets lie, and what took a while to draw, to decode or to train, kept as it is in memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import files
from lab.vision.data.images import Images


def root() -> Path:
    """The folder of all sets: `LAB_DATA`, or `data` where one stands."""
    return Path(os.environ.get("LAB_DATA") or "data")


def kept(name: str, make: Callable[[], Images]) -> Images:
    """What `make` gives, from the file `cache/NAME.pt` if it has been made before."""

    def made() -> dict[str, Any]:
        images = make()
        targets = {name: target.clone() for name, target in images.targets.items()}  # a view would save the whole
        return {"images": images.images.clone(), "targets": targets}

    stored = remembered(name, made)
    return Images(stored["images"], stored["targets"])


def remembered(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The same for tensors and plain values by name."""
    path = root() / "cache" / f"{name}.pt"
    try:
        stored: dict[str, Any] = files.load(path)
        return stored
    except (FileNotFoundError, files.Corrupt):
        made = make()
    draft = path.with_suffix(f".{os.getpid()}")  # several processes may make it at the same time
    with contextlib.suppress(OSError):  # no room, or no right to write: what was made is here all the same
        files.save(made, draft)
        draft.replace(path)
    return made
