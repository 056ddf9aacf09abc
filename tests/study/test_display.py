"""What a running study shows: on a terminal a row for each training under way, in a log file lines."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pyte
import pytest
import works
from rich.console import Console

from lab.stages import Progress
from lab.study.report.summary import Result, TrialSummary
from lab.study.work import display as module
from lab.study.work.display import Display
from lab.study.work.job import Job, JobResult, Reporter
from lab.study.work.launcher import Crashed, Ended, Progressed

Planned = Callable[..., Any]
HALF = Progress(50, 100, "epoch 2/4  50/100 batches", 3.0, {"val/return": -312.44, "val/length": 200.0})


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Screen:
    """A display on a terminal of a width, with what its storage holds."""

    def __init__(self, plan: Any, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trials: list[TrialSummary] = []
        self.said: list[str] = []
        monkeypatch.setattr(module, "say", self.say)
        self.clock, self.plan, self.width = Clock(), plan, width
        monkeypatch.setattr(module, "summary", lambda *_: self.trials)
        monkeypatch.setattr(module, "time", self.clock)
        queue: Any = type("Queue", (), {"study": None})()
        self.display = Display(plan, queue, plan.name)
        self.file = io.StringIO()
        self.display.console = Console(
            file=self.file, force_terminal=True, width=width, height=12, legacy_windows=False, _environ={}
        )

    def say(self, line: str) -> None:
        self.said.append(line)
        self.display.console.print(line, highlight=False)

    def lines(self) -> list[str]:
        """What is seen now."""
        assert self.display.live is not None
        self.display.live.refresh()
        emulator = pyte.Screen(self.width, 12)
        pyte.Stream(emulator).feed(self.file.getvalue().replace("\n", "\r\n"))
        return [line.rstrip() for line in emulator.display if line.strip()]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Screen]:
    return lambda plan, width=80: Screen(plan, width, monkeypatch)


def plan(seeds: Sequence[int], *keys: str, entries: int = 1, data: Mapping[str, Any] | None = None) -> Any:
    """What a display wants of a study: one that varies these keys of the recipe, or only its seed."""
    return SimpleNamespace(
        name="study",
        file=SimpleNamespace(sampler="grid" if keys else "none"),
        dimensions=tuple(SimpleNamespace(key=key) for key in keys),
        seeds=tuple(seeds),
        entries=({},) * entries,
        metrics=("best/val/return",),
        modes=("max",),
        recipe=SimpleNamespace(data=data or {}),
    )


def trial(number: int, state: str = "running", values: tuple[float, ...] = (), **results: float) -> TrialSummary:
    of_seeds = {int(seed[1:]): Result("run", {"best/val/return": score}, 1.0) for seed, score in results.items()}
    return TrialSummary(number, number, state, {"model.lr": 0.01}, values, of_seeds, "no memory")


@pytest.mark.parametrize("width", [60, 80])
def test_seeds_under_way(screen: Callable[..., Screen], width: int) -> None:
    shown = screen(plan([3, 4, 5]), width)
    with shown.display as display:
        display.begun(0, {}, 3)
        display.begun(0, {}, 4)
        shown.clock.now += 65
        display.heard(Progressed((0, 3), HALF))
        title, *rows = shown.lines()
        assert title == "training 3 seeds of study"
        assert rows[0].startswith("seed 3  ━━━━━")
        assert "50 %  1 min 5 s  val/return -312.4" in rows[0]
        assert rows[1].endswith("1 min 5 s  importing")
        assert rows[2].startswith("study: 0 of 3 seeds finished, 1 min 5 s spent")
        display.heard(Progressed((0, 3), "testing the best checkpoint"))
        assert "1 min 5 s  testing the best check" in shown.lines()[1]
        shown.trials = [trial(0, s3=-200.0)]
        display.heard(Ended((0, 3), JobResult("finished", {"best/val/return": -200.0}, "run")))
        display.tick()
        rows = shown.lines()[1:]
        assert rows[0] == "seed 3: best/val/return -200, finished in 1 min 5 s"
        assert rows[1].startswith("seed 4  ")
        assert rows[2].startswith("study: 1 of 3 seeds finished")
        assert all(len(row) <= width for row in rows)
        assert "trial" not in "".join(rows)


def test_trials_under_way(screen: Callable[..., Screen]) -> None:
    shown = screen(plan([0, 1], "model.lr", entries=2))
    with shown.display as display:
        display.begun(0, {"model.lr": 0.001}, 0)
        display.begun(0, {"model.lr": 0.001}, 1)
        display.heard(Progressed((0, 1), HALF))
        assert [row.split("  ")[0] for row in shown.lines()[1:3]] == ["trial 0, seed 0", "trial 0, seed 1"]
        display.heard(Crashed((0, 0), "its process ended by signal SIGKILL"))
        shown.clock.now += 2
        shown.trials = [trial(0, "complete", (-7.0,)), trial(1, "failed")]
        display.heard(Ended((0, 1), JobResult("failed", reason="no memory")))
        display.tick()
        assert shown.lines() == [
            "training 2 trials of study",
            "trial 0, seed 0: crashed after 0 s: its process ended by signal SIGKILL",
            "trial 0, seed 1: failed after 2 s: no memory",
            "trial 0 complete in 2 s: best/val/return -7; model.lr=0.01",
            "trial 1 failed: no memory; model.lr=0.01",
            "study: 1 of 2 trials finished, 1 failed, best -7 (trial 0), 2 s spent",
        ]


def test_more_trainings_than_lines(screen: Callable[..., Screen]) -> None:
    shown = screen(plan(range(20)))
    with shown.display as display:
        for seed in range(20):
            display.begun(0, {}, seed)
        rows = shown.lines()[1:]
        assert [row.split("  ")[0] for row in rows[:8]] == [f"seed {n}" for n in range(8)]
        assert rows[8] == "and 12 more"


def test_a_log_file_hears_of_validations_and_of_long_silence(screen: Callable[..., Screen]) -> None:
    shown = screen(plan([0, 1]))
    shown.display.console = Console(file=shown.file)
    with shown.display as display:
        display.begun(0, {}, 0)
        display.begun(0, {}, 1)
        display.heard(Progressed((0, 0), HALF))  # too early for a line
        shown.clock.now += 35
        display.heard(Progressed((0, 0), HALF))  # the same validation, not yet told
        display.heard(Progressed((0, 0), HALF))
        display.heard(Progressed((0, 1), HALF))
        display.tick()
        shown.clock.now += 31
        display.tick()
        display.stopping()
    assert shown.said == [
        "training 2 seeds of study",
        "seed 0  val/return -312.4  epoch 2/4  50/100 batches  val/length 200  35 s",
        "seed 1  val/return -312.4  epoch 2/4  50/100 batches  val/length 200  35 s",
        "0 of 2 seeds finished, 1 min 6 s spent, about 1 min 6 s left, seed 0 50 %, seed 1 50 %",
        "stopping: seed 0, seed 1 will be resumed by the same command",
    ]


def test_folds_under_way(screen: Callable[..., Screen]) -> None:
    shown = screen(plan([0], "data.fold", entries=5, data={"folds": 5}))
    with shown.display as display:
        display.begun(2, {"data.fold": 2}, 0)
        assert [row.split("  ")[0] for row in shown.lines()] == [
            "training 5 folds of study",
            "fold 2 of 5",
            "study: 0 of 5 folds finished, 0 s spent",
        ]
        display.heard(Ended((2, 0), JobResult("finished", {"best/val/return": 0.5}, "run")))
        assert shown.lines()[1] == "fold 2 of 5: best/val/return 0.5, finished in 0 s"


def reporting(job: Job, reporter: Reporter) -> JobResult:
    """Tells its stage and its progress before it returns."""
    reporter.progressed("preparing the data")
    reporter.progressed(HALF)
    return works.instant(job, reporter)


def test_the_reports_of_workers_arrive(
    planned: Planned, tuned: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    monkeypatch.setattr(Display, "_progressed", lambda _, event: heard.append((event.key, event.now)))
    study, _ = tuned(planned("sampler: none", "seeds: [0, 1]"), reporting)
    assert heard == [((0, seed), now) for seed in (0, 1) for now in ("preparing the data", HALF)]
    assert [trial.state for trial in study.trials] == ["complete"]
