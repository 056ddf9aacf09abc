"""Warnings that are printed once per run."""

from __future__ import annotations

from lab.sentences import note

_said: set[str] = set()


def warn_once(sentence: str) -> None:
    """Prints a sentence on standard error, unless this process has printed it before."""
    if sentence not in _said:
        _said.add(sentence)
        note(sentence)
