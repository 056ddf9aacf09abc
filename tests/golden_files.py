"""Golden files: what a command prints on terminals of 80 and of 60 columns, as text under tests/cli/golden.

Written again, after a change that is meant, by

    LAB_GOLDEN=write .venv/bin/python -m pytest -q tests/cli/test_golden.py tests/study/test_golden_studies.py
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "cli" / "golden"
WIDTHS = (80, 60)
# what differs from run to run -> what stands for it, as wide as a rule
MASKS = {
    r"\x1b\[[0-9;?]*[A-Za-z]": "",
    r"[^\n]*\r": "",
    r"[0-9a-f]{32}": "0123456789abcdef0123456789abcdef",
    r"(?<![\w.,])(?=[a-f]*\d)[0-9a-f]{8}(?!\w|[.,]\d)": "01234567",  # some ids have no letter
    r"(in|after) (\d+ min )?\d+ s\b": r"\1 1 s",
    r"\b(\d+ min )?\d+ s (spent|left)": r"1 s \2",
    r"(?m)^([\u2800-\u28ff] |importing torch|opening the ).*\n?": "",  # spinners, and what is said once in a process
}


def terminal(monkeypatch: pytest.MonkeyPatch, width: int, errors: bool = True) -> None:
    """Standard output, and standard error unless `errors` is false, are a terminal of a width; no time passes on it."""
    for stream in (sys.stdout, sys.stderr) if errors else (sys.stdout,):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    for name, value in {"TERM": "xterm", "COLUMNS": str(width), "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((width, 50)))
    for name in ("FIRST_SECONDS", "SILENCE_SECONDS"):  # the same words however busy the machine is
        monkeypatch.setattr(f"lab.cli.terminal.working.{name}", 1e6)
    for module in ("results", "tune"):
        monkeypatch.setattr(f"lab.cli.{module}.ago", lambda _: "1 s ago")  # a longer time would hide another column


def masked(text: str, **places: Path | str) -> str:
    """The text without what differs from run to run; `places` are paths and addresses by what stands for them."""
    for name, place in places.items():
        text = text.replace(str(place), name.upper())
    for pattern, stands in MASKS.items():
        text = re.sub(pattern, stands, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def check(
    name: str, show: Callable[[int], Any], file_text: bool = False, within: str = "", **places: Path | str
) -> None:
    """Compares what a command prints at both widths with its golden file.

    Args:
        name: the words of the command.
        show: calls it on a terminal of a width; gives code, out and err.
        file_text: whether it prints a file, whose lines are as they are.
        within: a folder of golden files.
        places: paths and addresses by what stands for them.
    """
    parts = []
    for width in WIDTHS:
        outcome = show(width)
        out, err = masked(outcome.out, **places), masked(outcome.err, **places)
        shown = f"{out}\n{err}" if sys.stderr.isatty() else out
        wide = [line for line in shown.splitlines() if len(line) > width and "://" not in line]
        assert file_text or not wide, f"wider than {width} columns"
        said = f"\n-- standard error\n{err}" if err else ""
        parts.append(f"== {width} columns, exit code {outcome.code}\n{out}{said}\n")
    text = f"$ lab {name}\n" + "\n".join(parts)
    file = FOLDER / within / (re.sub(r"[^\w.-]+", "_", name).strip("_") + ".txt")
    if os.environ.get("LAB_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(text, encoding="utf-8")
    assert file.is_file(), "no golden file yet; see tests/golden_files.py"
    assert text == file.read_text(encoding="utf-8")


def cut_words(narrow: str, wide: str) -> set[str]:
    """Words of a narrow text that the wide one does not have: they were cut, and no ellipsis says so."""
    word = r"[\w.-]+"
    whole = set(re.findall(word, wide))
    return {each for each, shortened in re.findall(rf"({word})(…?)", narrow) if not shortened} - whole
