"""`python -m benchmarks [--only NAME] [--quick]`: measures, then writes results.json and README.md beside this file.

With `--compare` nothing is written: ratios of today are printed beside those of the last commit.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import (
    agents_vs_sb3,
    classify,
    compare,
    ddpg_vs_sb3,
    defaults_vs_sb3,
    gpt,
    gpu,
    kinds_vs_sb3,
    machine,
    offline_vs_d3rlpy,
    overhead,
    sac_vs_sbx,
    saving,
    scaling,
    solving_vs_sb3,
    startup,
    stepping,
    studies,
    word_vectors,
)
from benchmarks.measure import say

BENCHMARKS = {
    "ddpg_vs_sb3": ddpg_vs_sb3,
    "agents_vs_sb3": agents_vs_sb3,
    "kinds_vs_sb3": kinds_vs_sb3,
    "sac_vs_sbx": sac_vs_sbx,
    "offline_vs_d3rlpy": offline_vs_d3rlpy,
    "solving_vs_sb3": solving_vs_sb3,
    "defaults": defaults_vs_sb3,
    "overhead": overhead,
    "saving": saving,
    "startup": startup,
    "stepping": stepping,
    "classify": classify,
    "gpt": gpt,
    "gpu": gpu,
    "word_vectors": word_vectors,
    "scaling": scaling,
    "studies": studies,
}
ON_REQUEST = ("defaults",)  # what takes hours
HERE = Path(__file__).parent
HEAD = """# Benchmarks

Written by `make bench` (`python -m benchmarks`, one benchmark: `--only NAME`); do not edit. Raw numbers are in
`results.json`. All variants run in separate processes with one torch thread each, alternately; each is warmed up
by one short run first."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        choices=BENCHMARKS,
        action="append",
        help=f"one benchmark; may be repeated; all by default, but {', '.join(ON_REQUEST)}",
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test: tiny runs, printed, nothing written")
    parser.add_argument(
        "--compare", action="store_true", help="print ratios beside the committed ones; exit code 1 if one got slower"
    )
    arguments = parser.parse_args()
    names = arguments.only or [name for name in BENCHMARKS if name not in ON_REQUEST]
    if arguments.compare:
        sys.exit(1 if _compare(names, arguments.quick) else 0)
    results: dict[str, Any] = {}
    for name in names:
        say(f"== {name}")
        where = machine.describe()
        found = BENCHMARKS[name].measure(arguments.quick)
        if not found:  # this machine lacks what it takes; what another one measured stays
            continue
        results[name] = {"machine": where, **found}
        if not arguments.quick:
            _keep(results)
    if arguments.quick:
        print(render(results))


def _compare(names: Iterable[str], quick: bool) -> list[str]:
    """Prints what each benchmark with a yardstick measures now and measured then; returns what got slower."""
    before, slower = compare.committed(HERE / "results.json"), []
    for name in names:
        speeds = getattr(BENCHMARKS[name], "speeds", None)
        if speeds is None or name not in before:
            say(f"== {name}: nothing to compare")
            continue
        say(f"== {name}")
        then, now = speeds(before[name]), speeds(BENCHMARKS[name].measure(quick))
        print(f"{name}\n{compare.report(now, then)}\n", flush=True)
        slower += [f"{name}: {each}" for each in compare.slower(now, then)]
    print("\n".join(["slower:", *slower]) if slower else "nothing got slower")
    return slower


def _keep(results: dict[str, Any]) -> None:
    """Merges `results` into what is kept, so that a benchmark can be repeated alone."""
    kept = HERE / "results.json"
    results = (json.loads(kept.read_text()) if kept.exists() else {}) | results
    kept.write_text(json.dumps(results, indent=1) + "\n")
    (HERE / "README.md").write_text(render(results) + "\n")


def render(results: dict[str, Any]) -> str:
    """The report, in the benchmarks' own order, each with the machine it was measured on."""
    parts = [HEAD]
    for name, benchmark in BENCHMARKS.items():
        if name in results:
            parts += [benchmark.report(results[name]), machine.report(results[name]["machine"])]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
