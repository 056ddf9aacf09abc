"""Runs the fuzz targets one after the other, and prints what each did: `python -m tests.fuzz [--runs N] [--only NAME]`.

A failing input is kept, and the command that repeats it is printed. It needs atheris: `pip install -e ".[fuzz]"`.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
TARGETS = ("recipes", "overrides", "checkpoints")


class Outcome(NamedTuple):
    """What one target did; coverage and features are libFuzzer's counts, failed its exit code with what it said."""

    inputs: int
    coverage: tuple[int, int]
    features: tuple[int, int]
    seconds: float
    failing: Path | None
    output: str


def fuzz(target: str, runs: int, seed: int, keep: Path) -> Outcome:
    """Runs one target in a process of its own: atheris ends the process it runs in."""
    keep.mkdir(parents=True, exist_ok=True)
    log, start = keep / f"{target}.log", time.monotonic()
    options = [f"-runs={runs}", f"-seed={seed}", f"-artifact_prefix={keep}/{target}-", "-print_final_stats=1"]
    with log.open("wb") as file, tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", f"tests.fuzz.{target}", *options]
        process = {"cwd": ROOT, "env": os.environ | {"TMPDIR": scratch}}
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False, **process)
    seconds, said = time.monotonic() - start, log.read_text(errors="replace")
    counts = [(int(cov), int(ft)) for cov, ft in re.findall(r"^#\d+\s+.*cov: (\d+) ft: (\d+)", said, re.M)] or [(0, 0)]
    inputs = re.findall(r"^stat::number_of_executed_units: (\d+)", said, re.M)
    failing = re.findall(r"Test unit written to (\S+)", said)
    return Outcome(
        int(inputs[-1]) if inputs else 0,
        (counts[0][0], counts[-1][0]),
        (counts[0][1], counts[-1][1]),
        seconds,
        Path(failing[-1]) if failing else (log if done.returncode else None),
        said,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Fuzz what reads files and words of others."
    )
    parser.add_argument("--runs", type=int, default=50_000, help="inputs per target")
    parser.add_argument("--only", choices=TARGETS, action="append", help="this target alone")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations; 0 is a new one each time")
    parser.add_argument(
        "--keep", type=Path, default=Path(tempfile.gettempdir()) / "lab-fuzz", help="for failing inputs"
    )
    chosen = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("fuzzing needs atheris: pip install -c constraints.txt -e '.[fuzz]'", file=sys.stderr)
        return 2
    print(f"{'target':12} {'inputs':>8} {'coverage':>14} {'features':>14} {'seconds':>8}  failures", flush=True)
    failed = {}
    for target in chosen.only or TARGETS:
        found = fuzz(target, chosen.runs, chosen.seed, chosen.keep)
        coverage, features = (f"{first} -> {last}" for first, last in (found.coverage, found.features))
        line = f"{target:12} {found.inputs:8,} {coverage:>14} {features:>14} {found.seconds:8.0f}"
        print(f"{line}  {found.failing or 'none'}", flush=True)
        if found.failing:
            failed[target] = found
    for target, found in failed.items():
        print(f"\n{target}: repeat it with {sys.executable} -m tests.fuzz.{target} {found.failing}")
        print("\n".join(line for line in found.output.splitlines() if not line.startswith(("#", "INFO"))))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
