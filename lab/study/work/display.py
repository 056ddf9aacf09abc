"""Progress of a running study on standard error: on a terminal a row for each training under way, elsewhere lines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lab.stages import Progress, duration, report, say, values_text
from lab.study.plan.plan import Plan
from lab.study.report.summary import TrialSummary, best, summary
from lab.study.work.job import JobResult
from lab.study.work.launcher import Crashed, Ended, Event, Progressed
from lab.study.work.naming import Naming
from lab.study.work.trial_queue import TrialQueue

READ_SECONDS = 1.0  # between two readings of the storage
LINE_SECONDS = 30.0  # between two lines of one training, where there is no terminal
SILENCE_SECONDS = 30.0  # the longest without a line, where there is no terminal
STARTING = "importing"


@dataclass
class Training:
    """A training under way.

    Args:
        name: `seed 3`.
        began: when it was given to a worker.
        stage: what it is doing, until it trains.
        progress: how far it is.
        said: when a line was last printed about it.
        told: the values of that line.
    """

    name: str
    began: float
    stage: str = STARTING
    progress: Progress | None = None
    said: float = 0.0
    told: Mapping[str, float] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        """The share of it that is done, from 0 to 1; None if it is not known."""
        if self.progress is None or not self.progress.total:
            return None
        return min(1.0, self.progress.done / self.progress.total)

    def news(self) -> str:
        """The value of the last validation that counts, the position and the other values; or the stage."""
        if self.progress is None or self.stage:
            return self.stage
        first, *others = [values_text({name: value}) for name, value in self.progress.validated.items()] or [""]
        return "  ".join(filter(None, [first, self.progress.position, *others]))


class Display:
    """Shows the trainings under way, what is finished, the best so far, and the time left.

    Args:
        plan: the study.
        queue: its trials.
        title: the study's name in messages.
    """

    def __init__(self, plan: Plan, queue: TrialQueue, title: str) -> None:
        self.plan, self.queue, self.title = plan, queue, title
        self.naming = Naming(plan)
        self.console = Console(stderr=True)
        self.trainings: dict[tuple[int, int], Training] = {}
        self.trials: list[TrialSummary] = []
        self.said_trials: set[int] = set()  # numbers of the trials of which a line said the end
        self.seconds: dict[int, float] = {}  # that trials took which ended here
        self.began = self.read = self.said = time.monotonic()
        self.changed = True
        self.trained_before = self.trained = 0
        self.live: Live | None = None

    def __enter__(self) -> Display:
        self._read()
        self.trained_before = self.trained
        self.said_trials = {trial.number for trial in self.trials if _over(trial)}
        going_on = f", {self.trained} of them finished before" if self.trained else ""
        say(f"training {self.naming.count} {self.naming.kind}s of {self.title}{going_on}")
        if self.console.is_terminal:
            self.live = Live(console=self.console, get_renderable=self._render, refresh_per_second=2, transient=True)
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.trainings.clear()
        self._read()
        self._say_trials()
        if self.live is not None:
            self.live.stop()

    def begun(self, trial: int, settings: Mapping[str, Any], seed: int) -> None:
        """A training is given to a worker."""
        now = time.monotonic()
        self.trainings[trial, seed] = Training(self.naming.training(trial, settings, seed), now, said=now)

    def heard(self, event: Event) -> None:
        """Something happened to a training."""
        if isinstance(event, Progressed):
            self._progressed(event)
            return
        self.changed = True
        if isinstance(event, Ended | Crashed):
            training = self.trainings.pop(event.key)
            number = event.key[0]
            self.seconds[number] = self.seconds.get(number, 0.0) + time.monotonic() - training.began
            if self.naming.kind != "trial" or len(self.plan.seeds) > 1 or isinstance(event, Crashed):
                self._print(f"{training.name}: {self._end(event, training)}")

    def stopping(self) -> None:
        """The trainings under way were asked to save and stop."""
        names = ", ".join(each.name for each in self.trainings.values())
        self._print(f"stopping: {names} will be resumed by the same command")

    def tick(self) -> None:
        """Called once a second: reads what changed, and breaks a silence."""
        now = time.monotonic()
        if self.changed and now - self.read > READ_SECONDS:
            self._read()
            self._say_trials()
        if self.live is None and now - self.said > SILENCE_SECONDS:
            rows = [f"{each.name} {_percent(each) or each.stage}" for each in self.trainings.values()]
            self._print(", ".join([self._summary(), *rows]))
        report(Progress(self.trained, self._total, f"{self.title}: {self._summary()}", now - self.began))

    def _progressed(self, event: Progressed) -> None:
        training = self.trainings.get(event.key)
        if training is None:
            return
        if isinstance(event.now, str):
            training.stage = event.now
            return
        training.stage, training.progress = "", event.now
        now = time.monotonic()
        if self.live is None and event.now.validated != training.told and now - training.said > LINE_SECONDS:
            training.said, training.told = now, event.now.validated
            self._print(f"{training.name}  {training.news()}  {duration(now - training.began)}")

    def _end(self, event: Ended | Crashed, training: Training) -> str:
        """The line that says how a training ended."""
        spent = duration(time.monotonic() - training.began)
        if isinstance(event, Crashed):
            return f"crashed after {spent}: {event.reason}"
        result: JobResult = event.result
        if result.status == "failed":
            return f"failed after {spent}: {result.reason}"
        if result.status == "pruned":
            return f"pruned after {spent}"
        if result.status == "stopped":
            return f"stopped after {spent}"
        values = {name: result.metrics[name] for name in self.plan.metrics if name in result.metrics}
        return ", ".join(filter(None, [values_text(values), f"finished in {spent}"]))

    def _read(self) -> None:
        self.read, self.changed = time.monotonic(), False
        self.trials = summary(self.plan.dimensions, self.queue.study)
        seeds = len(self.plan.seeds)
        self.trained = sum(seeds if _over(trial) else len(trial.results) for trial in self.trials)

    def _say_trials(self) -> None:
        """A line for each trial that is over, with its settings; where only seeds or folds differ there is no more."""
        if self.naming.kind != "trial":
            return
        for trial in self.trials:
            if _over(trial) and trial.number not in self.said_trials:
                self.said_trials.add(trial.number)
                values = values_text(dict(zip(self.plan.metrics, trial.values, strict=False))) or trial.reason
                settings = ", ".join(f"{key}={value}" for key, value in trial.settings.items())
                spent = f" in {duration(self.seconds[trial.number])}" if trial.number in self.seconds else ""
                self._print(f"trial {trial.number} {trial.state}{spent}: {'; '.join(filter(None, [values, settings]))}")

    def _summary(self) -> str:
        parts = [self.naming.finished(self.trials)]
        leader = best(self.plan.modes[0], self.trials)
        if leader is not None and self.naming.kind == "trial":
            parts.append(f"best {leader.values[0]:.4g} (trial {leader.number})")
        spent = time.monotonic() - self.began
        parts.append(f"{duration(spent)} spent")
        done, left = self.trained - self.trained_before, self._total - self.trained
        done_now = done + sum(each.share or 0.0 for each in self.trainings.values())
        if done_now > 0.1 and left:
            parts.append(f"about {duration((left + done - done_now) * spent / done_now)} left")
        return ", ".join(parts)

    @property
    def _total(self) -> int:
        """The number of trainings in all."""
        return len(self.plan.entries) * len(self.plan.seeds)

    def _print(self, line: str) -> None:
        self.said = time.monotonic()
        if self.live is not None:
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            say(line)

    def _render(self) -> RenderableType:
        """A row for each training, as many as fit, and the summary."""
        grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
        for column in ("name", "bar", "percent", "seconds"):
            grid.add_column(no_wrap=True, justify="right" if column in ("percent", "seconds") else "left")
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        now, most = time.monotonic(), max(1, self.console.height - 4)
        shown = list(self.trainings.values())
        for each in shown[:most]:
            bar = ProgressBar(total=1.0, completed=each.share or 0.0, width=10)
            grid.add_row(each.name, bar, _percent(each), duration(now - each.began), Text(each.news()))
        more = [Text(f"and {len(shown) - most} more")] if len(shown) > most else []
        return Group(grid, *more, Text(f"{self.title}: {self._summary()}", no_wrap=True, overflow="ellipsis"))


def _over(trial: TrialSummary) -> bool:
    return trial.state in ("complete", "pruned", "failed")


def _percent(training: Training) -> str:
    return "" if training.share is None else f"{100 * training.share:.0f} %"
