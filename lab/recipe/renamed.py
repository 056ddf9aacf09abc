"""Keys of recipes that had another name before, so that an old recipe is told the new one."""

from __future__ import annotations

# old dotted key -> new dotted key
RENAMED: dict[str, str] = {}
