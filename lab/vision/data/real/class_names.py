"""`classes.txt` beside the images of a folder: a name on each line, the first one for value 0."""

from __future__ import annotations

import re
from pathlib import Path

from lab.data import read_lines, warn_near_duplicates
from lab.errors import BadSetting, nearest
from lab.vision.data.images import IGNORE_INDEX

FILE = "classes.txt"


def class_names(path: Path) -> tuple[str, ...]:
    """The lines of `classes.txt`; without it everything that is not 0 is an object.

    Args:
        path: the folder.

    Raises:
        BadSetting: the file cannot be read, or a line may be meant for another value than the one it stands for.
    """
    names = path / FILE
    if not names.is_file():
        present = [each.name for each in path.iterdir()]
        alike = next((name for name in present if name.lower() == FILE), None)
        if names.exists() or alike or (hint := nearest(FILE, present)):
            what = f"; rename {alike}" if alike else hint
            raise BadSetting("path", f"{names} is a folder" if names.exists() else f"there is no file {names}{what}")
        return ("background", "object")
    lines = [line.strip() for line in read_lines(names)]
    while lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):  # a line that is left out would give all below it another value
        if not line:
            raise BadSetting(
                "path", f"{names}:{number} is empty, but each line has to be the name of a value; remove it"
            )
        if line.startswith("#"):
            raise BadSetting("path", f"{names}:{number} is a comment, but each line is the name of a value; remove it")
        if line in lines[: number - 1]:
            raise BadSetting("path", f"{names}:{number} repeats {line!r}, the name of value {lines.index(line)}")
    warn_near_duplicates(lines, names)
    _check_numbers(names, lines)
    if not 2 <= len(lines) < IGNORE_INDEX:
        found = f"{len(lines)} class{'es' * (len(lines) != 1)}"
        raise BadSetting("path", f"{names} names {found}; expected 2 to 254, one a line, the background first")
    return tuple(lines)


def _check_numbers(names: Path, lines: list[str]) -> None:
    """Refuses a list in which each line says its value, and one says another than its place has."""
    said = [re.match(r"(\d+)[\s:,;.=-]+\S", line) for line in lines]
    for number, match in enumerate(said, 1):
        if all(said) and match and int(match[1]) != number - 1:
            words = f"{names}:{number} says {match[1]}, but a name is for the value {number - 1} of its line"
            raise BadSetting("path", f"{words}, the first for 0")
