"""Where sets lie, and images that took a while to draw or to decode, kept as they are in memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from lab import files
from lab.vision.data.images import Images


def root() -> Path:
    """The folder of all sets: `LAB_DATA`, or `data` where one stands."""
    return Path(os.environ.get("LAB_DATA") or "data")


def kept(name: str, make: Callable[[], Images]) -> Images:
    """What `make` gives, from the file `cache/NAME.pt` if it has been made before."""
    path = root() / "cache" / f"{name}.pt"
    try:
        stored = files.load(path)
        return Images(stored["images"], stored["targets"])
    except (FileNotFoundError, files.Corrupt):
        images = make()
    draft = path.with_suffix(f".{os.getpid()}")  # several processes may make it at the same time
    with contextlib.suppress(OSError):  # no room, or no right to write: the images are here all the same
        targets = {name: target.clone() for name, target in images.targets.items()}  # a view would save the whole
        files.save({"images": images.images.clone(), "targets": targets}, draft)
        draft.replace(path)
    return images
