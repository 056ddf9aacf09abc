"""Fair timings on a machine that drifts: every side in a process of its own, taking turns.

A process of its own, because sides change what the others would feel (`lab` flushes denormal numbers, imports have side
effects). Taking turns, A B C A B C, because a machine that slows down for a minute then slows down all of them.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

RANDOM_STEPS, BLOCK = 1_000, 50
WARM_STEPS = RANDOM_STEPS + 2 * BLOCK  # a run this short pays for first calls and compiling, and little else


@dataclass(frozen=True)
class Work:
    """What a side is asked to do on Pendulum-v1, with one update per step after `RANDOM_STEPS` random ones.

    Args:
        hidden: width of both hidden layers.
        batch: transitions per update.
        steps: environment steps.
        compile: whether the update is compiled.
    """

    hidden: int
    batch: int
    steps: int
    compile: bool = False

    @property
    def updates(self) -> int:
        return self.steps - RANDOM_STEPS


Side = tuple[Callable[[Any], float], Any]  # does the work, which has `steps` and `updates`, and returns its seconds


def alternate(sides: Mapping[str, Side], repetitions: int) -> dict[str, dict[str, Any]]:
    """Seconds of every side, in turns after one short run each: `{name: {"first": of that run, "seconds": [...]}}`."""
    with ExitStack() as stack:
        found: dict[str, dict[str, Any]] = {}
        workers = {}
        for name, (side, work) in sides.items():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            workers[name] = stack.enter_context(process(folder))
            first = workers[name](side, replace(work, steps=WARM_STEPS))
            found[name] = {"first": first, "updates": work.updates, "seconds": []}
            say(f"{name}: first run {first:.2f} s")
        for turn in range(repetitions):
            for name, (side, work) in sides.items():
                found[name]["seconds"].append(workers[name](side, work))
                say(f"{name}: {found[name]['seconds'][-1]:.2f} s ({turn + 1}/{repetitions})")
    return found


@contextmanager
def process(folder: Path) -> Iterator[Callable[[Callable[[Any], Any], Any], Any]]:
    """A process with one thread for numbers, that lives in `folder`; call it with a side and its work."""
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_settle, initargs=(str(folder),))
    with pool:
        yield lambda side, work: pool.submit(side, work).result()


def _settle(folder: str) -> None:
    os.chdir(folder)  # MLflow's database and artifacts land here
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",  # empty at first, so that compiling is measured cold
        "FORCE_COLOR": "1",  # progress is drawn as in a terminal, into a file
        "TERM": "xterm-256color",
    }
    log = os.open("output.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    import torch

    torch.set_num_threads(1)


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours over theirs, turn by turn: neighbours in time share the machine's mood."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def spread(values: Sequence[float], digits: int = 2, unit: str = "") -> str:
    """`median (least to most)`."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f}{unit} ({least:,.{digits}f} to {most:,.{digits}f})"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
