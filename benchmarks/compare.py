"""What got slower since the results that were committed last: ratios of today's turns beside theirs.

A machine has good and bad days, so seconds of two days say little. Each benchmark takes turns with a yardstick, such as
another library or a bare loop, and `speeds` says how many times as fast as that it is.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import spread, table

TOLERANCE = 0.95  # of the former median: less than that, and less than each turn was then, is slower

Speeds = Mapping[str, Sequence[float]]  # what is measured -> in each turn, how many times as fast as its yardstick


def committed(results: Path) -> dict[str, Any]:
    """The results of the last commit."""
    words = ["git", "show", f"HEAD:./{results.name}"]
    text = subprocess.run(words, cwd=results.parent, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(text)
    return found


def slower(now: Speeds, before: Speeds) -> list[str]:
    """Names of what is clearly slower than it was, in the order of `now`."""
    return [name for name, speeds in now.items() if name in before and _is_slower(speeds, before[name])]


def _is_slower(now: Sequence[float], before: Sequence[float]) -> bool:
    middle = statistics.median(now)
    return middle < min(before) and middle < TOLERANCE * statistics.median(before)


def report(now: Speeds, before: Speeds) -> str:
    """A table of both, with a word about what got slower."""
    rows = []
    for name, speeds in now.items():
        if name not in before:
            rows.append([name, "", spread(speeds, 2, "x"), "new"])
            continue
        change = statistics.median(speeds) / statistics.median(before[name]) - 1
        verdict = f"{100 * change:+.0f} %" + (" SLOWER" if _is_slower(speeds, before[name]) else "")
        rows.append([name, spread(before[name], 2, "x"), spread(speeds, 2, "x"), verdict])
    return table(["times as fast as the yardstick", "committed", "now", "change"], rows)
