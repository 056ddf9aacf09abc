"""Names of metrics and of files as MLflow takes them, from whatever a module calls them."""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST = 250  # characters of a metric's name that MLflow takes


@lru_cache(maxsize=10_000)
def metric_name(name: str) -> str:
    """A metric's name with `_` for each character that MLflow refuses: `map@50` -> `map_50`."""
    parts = [part for part in re.sub(r"[^/\w.\- :]", "_", name).split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:LONGEST].rstrip("/") or "_"
