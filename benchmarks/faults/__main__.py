"""`python -m benchmarks.faults [--points N] [--only NAME] [--quick]`: breaks real runs, and writes ../faults.md.

Ends with 1 if a run lost anything.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks import machine
from benchmarks.faults import disk, stopping, tracking, training
from benchmarks.faults.case import Case, report, verdict
from benchmarks.faults.lives import DDPG, DRIFTING, MOONS, ROWS, Shop
from benchmarks.measure import say

Fault = Callable[[Shop], Iterator[Case]]
FAULTS: dict[str, Fault] = {
    "kill": partial(stopping.killed, work=DDPG, share=0.3),
    "kill_drifting": partial(stopping.killed, work=DRIFTING, share=0.3),
    "kill_moons": partial(stopping.killed, work=MOONS, share=0.2),
    "kill_workers": partial(stopping.killed, work=ROWS, share=0.15),
    "kill_end": stopping.killed_at_its_end,
    "sigint": partial(stopping.signalled, signum=signal.SIGINT),
    "sigterm": partial(stopping.signalled, signum=signal.SIGTERM),
    "twice": stopping.twice,
    "flipped": disk.flipped,
    "truncated": disk.truncated,
    "buffers": disk.buffers,
    "full": disk.full,
    "loss": training.loss,
    "data": training.data,
    "environment": training.environment,
    "absent": tracking.absent,
    "restarted": tracking.restarted,
    "gone": tracking.gone,
    "power_cut": tracking.power_cut,
}
ALONE: dict[str, Fault] = {"slow": tracking.slow}  # because time is measured
QUICK = ("kill", "kill_moons", "flipped", "full", "loss", "gone")
AT_ONCE = 2  # of the others
PAGE = Path(__file__).parents[1] / "faults.md"
HEAD = """# Fault injection

Written by `make faults` (`python -m benchmarks.faults`, one fault: `--only NAME`); do not edit. Every run is started
with `lab run` in a separate process, has its fault, is continued with `lab resume` or sent with `lab sync`, and is
compared with an uninterrupted run of the same recipe: all weights bit for bit, and every value of every metric
except times. The moments of the faults are random, between the first entry of a run's record and the
end of its training. *Exit code, status* are those after the fault and before the resume; 143 is SIGTERM's, 137 that of
kill -9, 130 SIGINT's; a run without an exit code was finished before its fault."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--points", type=int, default=20, help="random points at which runs are killed")
    parser.add_argument("--only", choices=FAULTS | ALONE, action="append", help="one fault; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a smoke test: few points, printed, nothing written")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the random points")
    arguments = parser.parse_args()
    points = 2 if arguments.quick else arguments.points
    names = arguments.only or (QUICK if arguments.quick else FAULTS | ALONE)
    say(f"seed {arguments.seed}")
    where, start, cases = machine.describe(), time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        home = Path(folder).resolve()
        shop = Shop(home / "work", home / "logs", points, arguments.quick, arguments.seed)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for found in pool.map(lambda fault: list(fault(shop)), [FAULTS[name] for name in names if name in FAULTS]):
                cases += found
        for name in names:
            cases += ALONE[name](shop) if name in ALONE else []
    minutes = (time.monotonic() - start) / 60
    summary = f"{verdict(cases)} It took {minutes:.0f} minutes; the random points have seed "
    text = "\n\n".join([HEAD, summary + f"{arguments.seed}.", report(cases), machine.report(where)])
    if arguments.quick or arguments.only:
        print(text)
    else:
        PAGE.write_text(text + "\n")
    sys.exit(any(case.lost for case in cases))


if __name__ == "__main__":
    main()
