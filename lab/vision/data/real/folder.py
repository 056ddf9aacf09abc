"""A folder of your own: pictures in `images/`, a mask of the same name for each in `masks/`, names in `classes.txt`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lab.data import Table
from lab.errors import BadInput, BadSetting, nearest
from lab.vision.data.images import IGNORE_INDEX
from lab.vision.data.real import decode
from lab.vision.data.real.class_names import FILE, class_names

DESKTOP = ("Thumbs.db", "desktop.ini", "__MACOSX", "@eaDir")

LOOKED_AT = 32  # masks, evenly over all, before a run begins
LARGE_MARGIN = 0.2  # of the pixels: more than borders of objects take


class NothingToTellApart(BadInput):
    """Masks of which each may be right, and which cannot be learnt from together."""


def mask_classes(path: Path) -> tuple[str, ...]:
    """The names of the values of a mask, as `class_names` has them.

    Raises:
        BadSetting: there is no such folder, it has no images, or the names cannot be used.
    """
    if not path.is_dir():
        raise BadSetting("path", f"there is no folder {path}")
    for part in ("images", "masks"):
        if not (path / part).is_dir():
            raise BadSetting(
                "path", f"there is no folder {path / part}{nearest(part, [each.name for each in path.iterdir()])}"
            )
    try:
        if not any(file.suffix.lower() in decode.ENDINGS for file in _files(path / "images")):
            raise BadSetting("path", f"{path / 'images'} has no images ({', '.join(decode.ENDINGS)})")
        pairs = _pairs(path)
    except BadSetting:
        raise
    except BadInput as error:
        raise BadSetting("path", str(error)) from None
    if lacking := [mask for _, mask in pairs if not mask.exists()]:
        raise BadSetting("path", f"{lacking[0]} is missing, as {len(lacking)} of {len(pairs)} masks")
    return class_names(path)


def check_masks(path: Path) -> None:
    """Looks at some masks before anything is begun; at all of them if these look wrong together. `load` does anyway.

    Raises:
        BadSetting: a mask cannot be used, or all together have nothing to tell apart.
    """
    pairs, classes = _pairs(path), _classes(path)

    def values(masks: Iterable[Path]) -> set[int]:
        return {int(value) for mask in masks for value in np.unique(classes(decode.mask_values(mask), mask))}

    looked_at = {mask for _, mask in pairs[:: -(-len(pairs) // LOOKED_AT)]}
    try:
        try:
            _check_values(path, values(looked_at))
        except NothingToTellApart:
            _check_values(path, values(mask for _, mask in pairs))
    except BadInput as error:
        raise BadSetting("path", str(error)) from None


def load(path: Path, size: int) -> Table:
    """All pictures, by name, with `mask`.

    Raises:
        BadInput: a picture or a mask cannot be used.
    """
    mask_classes(path)
    table = decode.images(_pairs(path), size, _classes(path), upright=True)
    masks = table["mask"]
    shown = set(masks.unique().tolist())
    _check_values(path, shown)
    if (path / FILE).exists():
        _warn_of_pixels_without_class(path, masks, shown)
    return table


def _classes(path: Path) -> decode.Classes:
    """From the values of a mask file to classes."""
    known, named = len(class_names(path)), (path / FILE).exists()

    def classes(mask: NDArray[np.uint8], file: Path) -> NDArray[np.uint8]:
        if not named:
            return _objects(mask, file)
        wrong = mask[(mask >= known) & (mask != IGNORE_INDEX)]
        if wrong.size:
            words = f"{file} holds the value {wrong.max()}, but {FILE} names {known} classes, 0 to {known - 1}"
            raise BadInput(f"{words}; 255 is for pixels without one")
        return mask

    classes.__name__ = f"folder {known if named else 'any'}"  # what a cached mask depends on
    return classes


def _check_values(path: Path, shown: set[int]) -> None:
    """Refuses values that all masks have together.

    Raises:
        NothingToTellApart: they are those of one class.
    """
    named = (path / FILE).exists()
    if named and shown == {0, IGNORE_INDEX}:
        words = f"the masks in {path / 'masks'} hold 0 and 255 alone, and 255 is for pixels without a class"
        raise NothingToTellApart(
            f"{words}; write 1 for the second name, or remove {FILE}: then every value except 0 is an object"
        )
    if len(shown - {IGNORE_INDEX}) < 2:
        value = f"{min(shown)}" if named else "0" if 0 in shown else "above 0"
        raise NothingToTellApart(
            f"every pixel of all masks in {path / 'masks'} is {value}; there is nothing to tell apart"
        )


def _warn_of_pixels_without_class(path: Path, masks: Tensor, shown: set[int]) -> None:
    """Says what looks as if 255 were meant for a class."""
    if IGNORE_INDEX not in shown:
        return
    unseen = [name for i, name in enumerate(mask_classes(path)) if i not in shown]
    share = float((masks == IGNORE_INDEX).float().mean())
    if unseen or share > LARGE_MARGIN:
        none = f", and no pixel is {', '.join(unseen)}" if unseen else ""
        words = f"{share:.0%} of the pixels in {path / 'masks'} are 255{none}"
        warnings.warn(f"{words}; 255 is for pixels without a class, which do not count", stacklevel=3)


def _objects(mask: NDArray[np.uint8], file: Path) -> NDArray[np.uint8]:
    """Everything that is not 0, where no values have names; not that of which some may be an edge or a margin."""
    if bool((mask == 255).any()) and bool(((mask > 0) & (mask < 255)).any()):
        between = len(np.unique(mask)) - 1 - int(mask.min() == 0)
        words = f"{file} holds 255 and {between} other value{'s' * (between > 1)} above 0: soft edges, or a margin"
        raise BadInput(f"{words}? Save it with 0 and 255 alone, or name the values in classes.txt")
    return (mask > 0).astype(np.uint8)


def _pairs(path: Path) -> list[tuple[Path, Path]]:
    """Every picture and its mask, which lies at the same place below `masks/` and has the same name but for the ending.

    Raises:
        BadInput: a file would be left out, or would serve twice.
    """
    pictures, masks = _by_place(path / "images"), _by_place(path / "masks")
    if alone := sorted(set(masks) - set(pictures)):
        raise BadInput(
            f"{masks[alone[0]]} has no image, like {len(alone)} of {len(masks)} masks; add it, or remove the mask"
        )
    return [(file, masks.get(place, path / "masks" / f"{place}.png")) for place, file in sorted(pictures.items())]


def _by_place(folder: Path) -> dict[str, Path]:
    """The image files below a folder by their path in it without the ending."""
    found: dict[str, Path] = {}
    for file in _files(folder):
        if file.suffix.lower() not in decode.ENDINGS:
            raise BadInput(f"{file} is not a readable image ({', '.join(decode.ENDINGS)}); convert or remove it")
        place = file.relative_to(folder).with_suffix("").as_posix()
        if place in found:
            raise BadInput(
                f"{file} and {found[place].name} have the same name except for the extension; rename one with its mask"
            )
        found[place] = file
    return found


def _files(folder: Path) -> list[Path]:
    """All files but those that desktops put into any folder; those behind links, too.

    Raises:
        BadInput: a link leads nowhere, or back.
    """
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        if (
            Path(place) != folder
            and Path(place).is_symlink()
            and folder.resolve().is_relative_to(Path(place).resolve())
        ):
            raise BadInput(f"{place} is a link to a folder that it lies in; remove it")
        folders[:] = [name for name in folders if not of_desktop(name)]
        found += [Path(place, name) for name in names if not of_desktop(name)]
    if broken := [file for file in found if not file.exists()]:
        raise BadInput(f"{broken[0]} is a link to {broken[0].readlink()}, where nothing is; mend or remove it")
    return sorted(file for file in found if file.is_file())


def of_desktop(name: str) -> bool:
    """Whether desktops put files or folders of that name into any folder."""
    return name.startswith(".") or name in DESKTOP
