"""A folder of your own: pictures in `images/`, a mask of the same name for each in `masks/`, names in `classes.txt`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lab.data import Table
from lab.errors import BadInput, BadSetting
from lab.vision.data.images import IGNORE_INDEX
from lab.vision.data.real import decode

DESKTOP = ("Thumbs.db", "desktop.ini")


def mask_classes(path: Path) -> tuple[str, ...]:
    """The lines of `classes.txt`, the first one for value 0; without it everything that is not 0 is an object.

    Raises:
        BadSetting: there is no such folder, or it has no images.
    """
    if not path.is_dir():
        raise BadSetting("path", f"there is no folder {path}")
    if not any(file.suffix.lower() in decode.ENDINGS for file in _files(path / "images")):
        raise BadSetting(
            "path", f"{path / 'images'} has no images ({', '.join(decode.ENDINGS)}); masks go to {path / 'masks'}"
        )
    names = path / "classes.txt"
    if not names.exists():
        return ("background", "object")
    try:
        lines = [line.strip() for line in names.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except UnicodeDecodeError:
        raise BadSetting("path", f"{names} is not UTF-8 text") from None
    for number, line in enumerate(lines, 1):  # a line that is left out would give all below it another value
        if not line:
            raise BadSetting("path", f"{names}:{number} is blank, but each line is the name of a value; remove it")
        if line in lines[: number - 1]:
            raise BadSetting("path", f"{names}:{number} repeats {line!r}, the name of value {lines.index(line)}")
    if not 2 <= len(lines) < IGNORE_INDEX:
        raise BadSetting(
            "path", f"{names} names {len(lines)} classes; expected 2 to 254, one a line, the background first"
        )
    return tuple(lines)


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
    table = decode.images(_pairs(path), size, classes, upright=True)
    masks = table["mask"]
    if named and bool((masks == IGNORE_INDEX).any()) and bool(((masks == 0) | (masks == IGNORE_INDEX)).all()):
        words = f"the masks in {path / 'masks'} hold 0 and 255 alone, and 255 is for pixels without a class"
        raise BadInput(
            f"{words}; write 1 for the second name, or remove classes.txt: then all that is not 0 is an object"
        )
    return table


def _pairs(path: Path) -> list[tuple[Path, Path]]:
    """Every picture and its mask, which lies at the same place below `masks/` and has the same name but for the ending.

    Raises:
        BadInput: a file would be left out, or would serve twice.
    """
    pictures, masks = _by_place(path / "images"), _by_place(path / "masks")
    if alone := sorted(set(masks) - set(pictures)):
        raise BadInput(
            f"{masks[alone[0]]} has no image, as {len(alone)} of {len(masks)} masks; add it, or remove the mask"
        )
    return [(file, masks.get(place, path / "masks" / f"{place}.png")) for place, file in sorted(pictures.items())]


def _by_place(folder: Path) -> dict[str, Path]:
    """The image files below a folder by their path in it without the ending."""
    found: dict[str, Path] = {}
    for file in _files(folder):
        if file.suffix.lower() not in decode.ENDINGS:
            raise BadInput(f"{file} is no image that can be read ({', '.join(decode.ENDINGS)}); convert or remove it")
        place = file.relative_to(folder).with_suffix("").as_posix()
        if place in found:
            raise BadInput(f"{file} and {found[place].name} have one name but for the ending; rename one with its mask")
        found[place] = file
    return found


def _files(folder: Path) -> list[Path]:
    """All files but those that desktops put into any folder."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return sorted(file for file in files if not file.name.startswith(".") and file.name not in DESKTOP)
