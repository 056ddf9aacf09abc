"""What became of the runs that met one fault, and the report on all of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.faults.lives import End, Story, client, metrics, weights
from benchmarks.measure import say, table

TITLES = ("fault", "runs", "other weights", "metrics missing, doubled", "exit code, status", "seconds")


@dataclass
class Case:
    """One fault in one place, met by several runs.

    Args:
        fault: what happens.
        where: in which recipe or at which moment.
        runs: how many met it.
        weights: how many of them ended with other weights than one that was left alone.
        missing: values of metrics that they lack, all together.
        doubled: values of metrics that they have and should not, all together.
        ends: exit code and status after each process that the fault ended.
        seconds: wall time of all this.
        problems: what else was not as it should be.
        notes: what is worth knowing.
        skipped: why nothing was tried.
    """

    fault: str
    where: str
    runs: int = 0
    weights: int = 0
    missing: int = 0
    doubled: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str = ""

    @property
    def name(self) -> str:
        return f"{self.fault}: {self.where}"

    @property
    def lost(self) -> bool:
        return bool(self.problems or self.weights or self.missing or self.doubled)

    def judge(self, story: Story, whole: End) -> None:
        """Compares the end of a run with that of one that was left alone."""
        self.runs += 1
        self.ends.update(f"{code} {status}" for code, status in zip(story.codes, story.statuses, strict=False))
        finished = client(story.uri).get_run(story.run_id).info.status == "FINISHED"
        story.expect(finished, "the run did not finish")
        if finished:
            found = metrics(story.uri, story.run_id)
            missing, doubled = whole.metrics - found, found - whole.metrics
            self.missing += missing.total()
            self.doubled += doubled.total()
            story.expect(not missing, f"metrics are missing: {sorted(missing)[:3]}")
            story.expect(not doubled, f"metrics are doubled or wrong: {sorted(doubled)[:3]}")
            same = _same(weights(story.last()), whole.weights)
            self.weights += not same
            story.expect(same, "the weights are others")
        self.problems += story.problems

    def row(self) -> list[str]:
        if self.skipped:
            return [self.name, "0", "", "", f"left out: {self.skipped}", ""]
        ends = ", ".join(f"{end} ({count})" if count > 1 else end for end, count in sorted(self.ends.items()))
        weights, values = f"{self.weights} of {self.runs}", f"{self.missing}, {self.doubled}"
        return [self.name, str(self.runs), weights, values, ends, f"{self.seconds:.0f}"]


@contextmanager
def timed(case: Case) -> Iterator[Case]:
    """Takes the time, and makes a surprise a problem of this case, so that the others are tried all the same."""
    start = time.monotonic()
    say(case.name)
    try:
        yield case
    except Exception as error:
        case.problems.append(f"{type(error).__name__}: {' '.join(str(error).split())}")
    case.seconds = time.monotonic() - start
    for problem in case.problems:
        say(f"  LOST: {problem}")


def report(cases: Sequence[Case]) -> str:
    parts = [table(TITLES, [case.row() for case in cases])]
    remarks = {
        "Notes": [f"- {case.name}: {note}" for case in cases for note in case.notes],
        "Not as it should be": [f"- {case.name}: {problem}" for case in cases for problem in case.problems],
    }
    parts += [f"{title}:\n\n" + "\n".join(lines) for title, lines in remarks.items() if lines]
    return "\n\n".join(parts)


def verdict(cases: Iterable[Case]) -> str:
    cases = [case for case in cases if not case.skipped]
    bad = sum(case.lost for case in cases)
    runs = sum(case.runs for case in cases)
    return f"{runs} runs met {len(cases)} faults; " + (f"{bad} faults cost something." if bad else "nothing was lost.")


def _same(one: dict, other: dict) -> bool:  # type: ignore[type-arg]
    import torch

    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
