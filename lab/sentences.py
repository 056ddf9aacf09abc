"""Sentences on standard output and standard error, broken between words where a terminal is too narrow for them."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

INDENT = 2  # of the lines that continue a sentence
_GAPS = re.compile(r" (?!(?:%|s|min|h|MB|GB)(?!\w))|(?<!\d) ")  # `95 %` and `2 min` stay on one line


def tell(text: str) -> None:
    """Prints a sentence on standard output; a terminal gets it broken between words."""
    print(_fitted(text, sys.stdout), flush=True)


def note(text: str) -> None:
    """Prints a sentence on standard error, likewise."""
    print(_fitted(text, sys.stderr), file=sys.stderr, flush=True)


def words_of(text: str) -> Sequence[str]:
    """The words of a text, behind each of which a line may end; a number and its unit are one.

    >>> words_of("an interval of 95 % in 2 min")
    ['an', 'interval', 'of', '95 %', 'in', '2 min']
    """
    return _GAPS.split(text)


def lines_of(text: str, width: int) -> list[str]:
    """Lines of a text, no wider than that where spaces and slashes allow it; an address of the web stays whole."""
    lines: list[str] = []
    for word in words_of(text):
        whole = len(word) <= width or "://" in word
        for i, piece in enumerate([word] if whole else re.findall(r"[^/]*/|[^/]+", word)):
            gap = "" if i else " "
            if lines and len(lines[-1] + gap + piece) <= width:
                lines[-1] += gap + piece
            else:
                lines.append(piece)
    return lines


def _fitted(text: str, stream: TextIO) -> str:
    """The lines of a text, those that are too wide for a terminal continued on indented ones."""
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    fitted = []
    for line in text.split("\n"):
        first, *rest = lines_of(line, width) or [""]
        more = lines_of(" ".join(rest), width - INDENT) if rest else []
        fitted += [first, *(" " * INDENT + each for each in more)]
    return "\n".join(fitted)
