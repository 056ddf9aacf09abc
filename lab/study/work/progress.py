"""Progress of a running study on stderr: a bar in a terminal, a line for each finished trial elsewhere."""

from __future__ import annotations

import time
from collections import Counter

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lab.study.plan.plan import Plan
from lab.study.report.summary import TrialSummary, best, summary
from lab.study.work.trial_queue import TrialQueue

REFRESH_SECONDS = 1.0
OVER = ("complete", "pruned", "failed")


class Display:
    """Shows done, pruned and failed trials, the best so far, and the time left.

    Args:
        plan: the study.
        queue: its trials.
    """

    def __init__(self, plan: Plan, queue: TrialQueue) -> None:
        self.plan, self.queue = plan, queue
        self.console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
        )
        self.bar = Progress(*columns, console=self.console, auto_refresh=False, transient=True)
        self.task = self.bar.add_task(plan.name, total=len(plan.entries) * len(plan.seeds), status="")
        self.drawn, self.began = 0.0, time.monotonic()
        self.reported: set[int] = set()
        self.trained_before = 0

    def __enter__(self) -> Display:
        trials = summary(self.plan.dimensions, self.queue.study)
        self.reported = {trial.entry for trial in trials if trial.state in OVER}
        if self.plan.file.sampler == "none":
            self.reported = {seed for trial in trials for seed in trial.results}
        self.trained_before = self._trained(trials)
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._tell(summary(self.plan.dimensions, self.queue.study))
        self.bar.stop()

    def update(self) -> None:
        """Refreshes the display after a change."""
        if time.monotonic() - self.drawn < REFRESH_SECONDS:
            return
        self.drawn = time.monotonic()
        trials = summary(self.plan.dimensions, self.queue.study)
        self._tell(trials)
        if self.console.is_terminal:
            self.bar.update(self.task, completed=self._trained(trials), status=self._status(trials))
            self.bar.refresh()

    def _trained(self, trials: list[TrialSummary]) -> int:
        """The number of trainings that are finished or not needed."""
        seeds = len(self.plan.seeds)
        return sum(seeds if trial.state in OVER else len(trial.results) for trial in trials)

    def _status(self, trials: list[TrialSummary]) -> str:
        count = Counter(trial.state for trial in trials)
        parts = [f"{count['complete']} done, {count['pruned']} pruned, {count['failed']} failed of {len(trials)}"]
        leader = best(self.plan.modes[0], trials)
        if leader is not None:
            parts.append(f"best {leader.values[0]:.4g} (trial {leader.number})")
        trained = self._trained(trials) - self.trained_before
        left = len(self.plan.entries) * len(self.plan.seeds) - self._trained(trials)
        if trained and left:
            parts.append(f"{left * (time.monotonic() - self.began) / trained / 60:.1f} min left")
        return ", ".join(parts)

    def _tell(self, trials: list[TrialSummary]) -> None:
        """Prints one line for every newly finished trial, or run where nothing but the seed varies."""
        if self.plan.file.sampler == "none":
            self._tell_seeds(trials)
            return
        for trial in trials:
            if trial.state in OVER and trial.entry not in self.reported:
                self.reported.add(trial.entry)
                values = ", ".join(f"{value:.4g}" for value in trial.values) or trial.reason
                settings = ", ".join(f"{key}={value}" for key, value in trial.settings.items())
                line = f"trial {trial.number} {trial.state} {values}  {settings}"
                self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _tell_seeds(self, trials: list[TrialSummary]) -> None:
        metric = self.plan.metrics[0]
        for seed, result in (pair for trial in trials for pair in trial.results.items()):
            if seed not in self.reported:
                self.reported.add(seed)
                score = result.metrics.get(metric)
                line = f"seed {seed}: {metric} {'missing' if score is None else format(score, '.4g')}"
                self.console.print(line, markup=False, highlight=False, soft_wrap=True)
