"""A folder of your own: pictures in `images/`, a mask of the same name for each in `masks/`, names in `classes.txt`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lab.data import Table
from lab.errors import BadInput, BadSetting
from lab.vision.data.images import IGNORE_INDEX
from lab.vision.data.real import decode


def mask_classes(path: Path) -> tuple[str, ...]:
    """The lines of `classes.txt`, the first one for value 0; without it everything that is not 0 is an object.

    Raises:
        BadSetting: there is no such folder, or it has no images.
    """
    if not path.is_dir():
        raise BadSetting("path", f"there is no folder {path}")
    if not _pictures(path):
        raise BadSetting(
            "path", f"{path / 'images'} has no images ({', '.join(decode.ENDINGS)}); masks go to {path / 'masks'}"
        )
    names = path / "classes.txt"
    if not names.exists():
        return ("background", "object")
    lines = tuple(line.strip() for line in names.read_text(encoding="utf-8").splitlines() if line.strip())
    if not 2 <= len(lines) < IGNORE_INDEX:
        raise BadSetting(
            "path", f"{names} names {len(lines)} classes; expected 2 to 254, one a line, the background first"
        )
    return lines


def load(path: Path, size: int) -> Table:
    """All pictures, by name, with `mask`.

    Raises:
        BadInput: a picture or a mask cannot be used.
    """
    known = len(mask_classes(path))
    named = (path / "classes.txt").exists()

    def classes(mask: NDArray[np.uint8], file: Path) -> NDArray[np.uint8]:
        if not named:
            return (mask > 0).astype(np.uint8)
        wrong = mask[(mask >= known) & (mask != IGNORE_INDEX)]
        if wrong.size:
            words = f"{file} holds the value {wrong.max()}, but classes.txt names {known} classes, 0 to {known - 1}"
            raise BadInput(f"{words}; 255 is for pixels without one")
        return mask

    classes.__name__ = f"folder {known if named else 'any'}"  # what a cached mask depends on
    masks: dict[str, Path] = {file.stem: file for file in sorted((path / "masks").glob("*"))}
    pairs = [(picture, masks.get(picture.stem, path / "masks" / f"{picture.stem}.png")) for picture in _pictures(path)]
    return decode.images(pairs, size, classes)


def _pictures(path: Path) -> list[Path]:
    return sorted(file for file in (path / "images").glob("*") if file.suffix.lower() in decode.ENDINGS)
