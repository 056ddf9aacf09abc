"""Keys of recipes that had another name before: an old one is refused with the new name, nothing is converted."""

from __future__ import annotations

from collections.abc import Container

# old dotted key -> new dotted key, both in one section
RENAMED: dict[str, str] = {}


def renamed(key: str, known: Container[str]) -> str | None:
    """The name that the last part of a dotted key has now, if a section that knows these keys has it.

    The old word may belong to somebody's own task, so a name that the constructor does not know is no answer.
    """
    section, _, old = key.rpartition(".")
    new_section, _, new = RENAMED.get(key, "").rpartition(".")
    return new if new and new != old and new_section == section and new in known else None
