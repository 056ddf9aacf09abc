"""Names of metrics and of files as MLflow takes them, from whatever a module calls them."""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST = 250  # characters of a metric's name that MLflow takes


@lru_cache(maxsize=10_000)
def metric_name(name: str) -> str:
    """A metric's name with `_` for each character that MLflow refuses: `map@50` -> `map_50`."""
    return _path(re.sub(r"[^/\w.\- :]", "_", name))


def file_name(name: str, step: int | None, ending: str) -> str:
    """The path of an artifact for something that is logged again and again: `net/w`, 20 -> `net/w_00000020.png`."""
    stem = _path(re.sub(r"[^/\w.\-]", "_", name))
    return f"{stem}{'' if step is None else f'_{step:08d}'}{ending}"


def _path(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:LONGEST].rstrip("/") or "_"
