"""`make compare`: what got slower than the committed results is found, and every yardstick is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


def test_slower_is_what_is_below_all_that_was_and_clearly_so():
    from benchmarks.compare import report, slower

    before = {"same": [2.0, 2.1, 2.2], "little": [2.0, 2.01, 2.02], "noisy": [1.0, 2.0, 3.0], "much": [2.0, 2.1, 2.2]}
    now = {"same": [2.05], "little": [1.98], "noisy": [1.5], "much": [1.7], "new": [1.0]}
    assert slower(now, before) == ["much"]
    lines = {line.split(" | ")[0].strip("| "): line for line in report(now, before).splitlines()}
    assert lines["much"].endswith("| -19 % SLOWER |")
    assert lines["noisy"].endswith("| -25 % |")
    assert lines["new"].endswith("| new |")


def test_committed_results_have_speeds():
    from benchmarks.__main__ import BENCHMARKS

    kept = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    compared = {
        name: each.speeds(kept[name]) for name, each in BENCHMARKS.items() if hasattr(each, "speeds") and name in kept
    }
    assert {"ddpg_vs_sb3", "agents_vs_sb3", "overhead", "startup", "classify"} <= compared.keys()
    assert all(speeds and all(min(turns) > 0 for turns in speeds.values()) for speeds in compared.values())
