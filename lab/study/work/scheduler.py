"""The scheduler of a study: makes jobs of the queued trials, and values, pruning and failures of their results."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, Protocol

from optuna.trial import TrialState

from lab.errors import LabError, suggestion
from lab.study.plan.plan import Plan
from lab.study.report.summary import seeds_of, statistic
from lab.study.work import storage
from lab.study.work.job import Job, JobResult
from lab.study.work.launcher import Crashed, Ended, Event, Launcher, Progressed, Started, Validated
from lab.study.work.trial_queue import TrialQueue

if TYPE_CHECKING:
    from optuna.trial import Trial

WAIT_SECONDS = 1.0
ENOUGH = 3  # trainings without the study's metric, and none with it, show that its name is wrong
RUN, SEED, CRASHES = (
    "run",
    "seed",
    "crashes",
)  # attributes of a trial: `run 3` is the run of seed 3, `seed 3` its result


@dataclass
class ActiveTrial:
    """A trial that this process is running."""

    trial: Trial
    settings: dict[str, Any]
    todo: list[int]
    running: set[int] = field(default_factory=set)
    pruned: bool = False
    reason: str = ""

    def gated(self, curves: bool) -> bool:
        """Whether the other seeds wait for the first one, whose curve the pruner looks at."""
        return curves and bool(self.running) and not seeds_of(self.trial.user_attrs)


class Audience(Protocol):
    """Whoever wants to know how the trainings go, such as a display."""

    def begun(self, trial: int, settings: Mapping[str, Any], seed: int) -> None:
        """A training is given to a worker."""

    def heard(self, event: Event) -> None:
        """Something happened to a training."""

    def tick(self) -> None:
        """At least once a second."""

    def stopping(self) -> None:
        """The trainings under way are asked to save and stop."""


class Scheduler:
    """Runs the trials of a study until none is left, here or in another process.

    Args:
        plan: the study.
        queue: its trials.
        launcher: who does the jobs.
        job: makes a job of a trial, its settings, a seed, and perhaps the id of a run to go on with.
        audience: hears how the trainings go.
    """

    def __init__(
        self,
        plan: Plan,
        queue: TrialQueue,
        launcher: Launcher,
        job: Callable[[int, Mapping[str, Any], int, str | None, bool], Job],
        audience: Audience,
    ) -> None:
        self.plan, self.queue, self.launcher, self.job, self.audience = plan, queue, launcher, job, audience
        self.active: dict[int, ActiveTrial] = {}
        self.with_metrics = self.without_metric = 0  # trainings that finished here
        self.last_heartbeat = time.monotonic() - storage.HEARTBEAT_SECONDS

    def run(self, stopped: Callable[[], bool]) -> None:
        """Runs until everything is done or `stopped` returns true; running trials are then queued again, to be resumed.

        Raises:
            LabError: no trial can ever have a value.
        """
        try:
            while not stopped():
                self._heartbeat()
                self._start_jobs()
                if self.active:
                    self._handle(self.launcher.events(WAIT_SECONDS))
                elif self.queue.open():  # another process is at work, or has died
                    self._requeue_stale()
                    self._handle(self.launcher.events(WAIT_SECONDS))
                else:
                    return
                self.audience.tick()
        finally:
            self._release()

    def _start_jobs(self) -> None:
        """Starts a job on every idle worker."""
        for _ in range(self.launcher.idle):
            active = next((trial for trial in self.active.values() if trial.todo and not self._waits(trial)), None)
            if active is None:
                trial = self.queue.take()
                if trial is None:
                    return
                active = self._begin(trial)
            if active is not None and active.todo:
                self._start(active)

    def _waits(self, active: ActiveTrial) -> bool:
        return active.gated(self.plan.curves)

    def _begin(self, trial: Trial) -> ActiveTrial | None:
        from lab.study.plan.space import settings

        done = seeds_of(trial.user_attrs)
        chosen = settings(self.plan.dimensions, trial)
        active = ActiveTrial(trial, chosen, [seed for seed in self.plan.seeds if seed not in done])
        self.active[trial.number] = active
        for seed, result in done.items():
            self._judge(active, seed, result.metrics)
        if not active.todo:  # its owner died between the last seed and the end
            self._finish(active)
            return None
        return active

    def _start(self, active: ActiveTrial) -> None:
        seed = active.todo.pop(0)
        first = self.plan.curves and not seeds_of(active.trial.user_attrs)
        run_id = active.trial.user_attrs.get(f"{RUN} {seed}")
        active.running.add(seed)
        self.audience.begun(active.trial.number, active.settings, seed)
        self.launcher.start(self.job(active.trial.number, active.settings, seed, run_id, first))

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            self.audience.heard(event)
            if isinstance(event, Progressed):
                continue
            active = self.active[event.key[0]]
            seed = event.key[1]
            if isinstance(event, Started):
                active.trial.set_user_attr(f"{RUN} {seed}", event.run_id)
            elif isinstance(event, Validated):
                self.launcher.answer(event.key, self._prune(active, event))
            elif isinstance(event, Crashed):
                active.running.discard(seed)
                self._retry(active, seed, event.reason)
            elif isinstance(event, Ended):
                active.running.discard(seed)
                self._add_result(active, seed, event.result)

    def _prune(self, active: ActiveTrial, report: Validated) -> bool:
        value = None if self.plan.monitor is None else report.metrics.get(self.plan.monitor)
        if value is not None and report.position not in self._reported(active):
            active.trial.report(value if isfinite(value) else nan, report.position)  # infinity would enter medians
        return bool(active.trial.should_prune())

    def _reported(self, active: ActiveTrial) -> Mapping[int, float]:
        values: Mapping[int, float] = self.queue.study._storage.get_trial(active.trial._trial_id).intermediate_values
        return values

    def _retry(self, active: ActiveTrial, seed: int, reason: str) -> None:
        """A worker crashed: its job is retried from the last checkpoint, at most `retries` times."""
        crashes = active.trial.user_attrs.get(CRASHES, 0) + 1
        active.trial.set_user_attr(CRASHES, crashes)
        if crashes > self.plan.file.retries:
            active.reason = active.reason or f"{reason}, {crashes} times"
            active.todo.clear()
        else:
            active.todo.insert(0, seed)
        self._finish_if_done(active)

    def _add_result(self, active: ActiveTrial, seed: int, result: JobResult) -> None:
        if result.status == "finished":
            kept = {"run": result.run_id, "metrics": dict(result.metrics), "seconds": result.seconds}
            active.trial.set_user_attr(f"{SEED} {seed}", kept)
            usable = self._judge(active, seed, result.metrics)
            if usable and self.plan.file.pruner == "wilcoxon" and not active.pruned:
                active.trial.report(result.metrics[self.plan.metrics[0]], self.plan.seeds.index(seed))
                active.pruned = bool(active.trial.should_prune())
        elif result.status == "pruned":
            active.pruned = True
        elif result.status == "failed":
            active.reason = active.reason or f"seed {seed}: {result.reason}"
        else:  # told to stop by somebody else than this process
            active.todo.insert(0, seed)
        if active.pruned:
            active.todo.clear()
        self._finish_if_done(active)

    def _judge(self, active: ActiveTrial, seed: int, metrics: Mapping[str, float]) -> bool:
        """Whether a finished training gives its trial a value; if not, the trial keeps the reason."""
        if unusable := self._unusable(metrics):
            active.reason = active.reason or f"seed {seed}: {unusable}"
        return not unusable

    def _unusable(self, found: Mapping[str, float]) -> str:
        """The reason for which the metrics of a training give its trial no value; empty if they do.

        Raises:
            LabError: none of the first trainings has a metric of the study, so that none will.
        """
        for metric in self.plan.metrics:
            if metric not in found:
                near = suggestion(metric, sorted(found), "it logs")
                self.without_metric += 1
                if self.without_metric >= ENOUGH and not self.with_metrics:
                    raise LabError(f"no run logs the metric {metric!r}{near}; set another one in `metric:`")
                return f"its run logged no {metric!r}{near}"
        self.with_metrics += 1
        values = {metric: found[metric] for metric in self.plan.metrics}
        return ", ".join(f"{metric} is {value}" for metric, value in values.items() if not isfinite(value))

    def _finish_if_done(self, active: ActiveTrial) -> None:
        if not active.todo and not active.running:
            self._finish(active)

    def _finish(self, active: ActiveTrial) -> None:
        """Ends a trial: with a value, pruned, or failed."""
        del self.active[active.trial.number]
        results = seeds_of(active.trial.user_attrs)
        if active.pruned:
            self.queue.study.tell(active.trial, state=TrialState.PRUNED)
        elif active.reason:
            self.queue.fail(active.trial, active.reason, final=True)
        else:
            combine = statistic(self.plan.file.statistic)
            values = [combine([result.metrics[name] for result in results.values()]) for name in self.plan.metrics]
            self.queue.study.tell(active.trial, values)

    def _requeue_stale(self) -> None:
        if self.queue.fail_stale():
            self.queue.fill()

    def _heartbeat(self) -> None:
        if time.monotonic() - self.last_heartbeat > storage.HEARTBEAT_SECONDS:
            self.last_heartbeat = time.monotonic()
            storage.heartbeat(self.queue.study)
            self._requeue_stale()

    def _release(self) -> None:
        """Stops the running jobs and queues their trials again."""
        if not self.active:
            return
        if any(active.running for active in self.active.values()):
            self.audience.stopping()
        for event in self.launcher.stop():
            active = self.active.get(event.key[0])
            if active is None:
                continue
            if isinstance(event, Started):
                active.trial.set_user_attr(f"{RUN} {event.key[1]}", event.run_id)
            elif isinstance(event, Ended) and event.result.status == "finished":
                active.running.discard(event.key[1])
                self._add_result(active, event.key[1], event.result)
        for active in list(self.active.values()):
            self.queue.release(active.trial)
        self.active.clear()
        self.queue.fill()
