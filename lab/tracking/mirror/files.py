"""The images and texts of a run's artifacts that a mirror can show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lab.tracking.journal import Operation

PICTURES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class LoggedFile:
    """A file that was logged.

    Args:
        path: where it is.
        name: what it is called on the screen, with its folder and without its step.
        step: the step in its name, 0 without one.
    """

    path: Path
    name: str
    step: int

    @property
    def is_picture(self) -> bool:
        return self.path.suffix.lower() in PICTURES


def logged_file(operation: Operation, journal: Path) -> LoggedFile | None:
    """The file of an operation; None if it is gone or nothing that can be shown."""
    path = journal / operation["file"]
    if path.suffix.lower() not in (*PICTURES, ".md") or not path.is_file():
        return None
    stem, step = re.fullmatch(r"(.*?)(?:_(\d{8,}))?", path.stem).groups()  # type: ignore[union-attr]
    return LoggedFile(path, "/".join(part for part in (operation["to"], stem) if part), int(step or 0))
