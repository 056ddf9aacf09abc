"""Sentences on a narrow terminal: no word is cut, and no number parted from its unit."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from lab import sentences

LAB = Path(sentences.__file__).parent
SAID = "SIGINT: run 75a9f2f2 is marked KILLED; lab resume 75a9f2f2 continues it"
SURE = "best/val/return: mean over 2 seeds, with 95 % percentile bootstrap intervals, read within 3 min"


def written(capsys: pytest.CaptureFixture[str], stream: str) -> str:
    found = capsys.readouterr()
    return found.out if stream == "stdout" else found.err


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("text", [SAID, SURE, f"{SAID}\n{SURE}"])
def test_a_terminal_gets_whole_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, stream: str
) -> None:
    show = sentences.tell if stream == "stdout" else sentences.note
    show(text)
    assert written(capsys, stream) == f"{text}\n", "a file gets the lines as they are"
    monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True)
    for width in range(24, 100):
        monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, width=width: os.terminal_size((width, 50)))
        show(text)
        lines = written(capsys, stream).splitlines()
        assert max(map(len, lines)) <= width
        assert " ".join(" ".join(lines).split()) == " ".join(text.split())
        assert not [line for line in lines if re.search(r"\d$", line.replace("75a9f2f2", "")) and "95" in line]
        assert not [line for line in lines if re.match(r"\s*(%|min)", line)]


def test_a_wide_address_and_a_path_are_broken_behind_slashes_alone() -> None:
    assert sentences.lines_of("see http://127.0.0.1:5000/#/experiments/1", 20) == [
        "see",
        "http://127.0.0.1:5000/#/experiments/1",
    ]
    assert sentences.lines_of("in checkpoints/of/a/long/path", 16) == ["in checkpoints/", "of/a/long/path"]


def test_inner_rooms_write_nothing_past_them() -> None:
    rooms = ("runner", "engine", "tracking", "api", "study", "comparison", "cli")
    files = [file for room in rooms for file in (LAB / room).rglob("*.py")]
    raw = [file.name for file in files if "file=sys.stderr" in file.read_text(encoding="utf-8")]
    assert not raw, "use lab.sentences.note"
    assert "file=sys.stderr" in (LAB / "sentences.py").read_text(encoding="utf-8"), (
        "what is looked for is still written so"
    )
