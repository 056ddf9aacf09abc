"""The work on a study: trials of the ledger become jobs for the workers, and their answers values in the storage."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from lab.errors import LabError, nearest
from lab.study.plan.plan import Plan
from lab.study.report.summary import seeds_of, statistic
from lab.study.work import storage
from lab.study.work.job import Job, Outcome
from lab.study.work.ledger import Ledger
from lab.study.work.workers import Died, Ended, Event, Launcher, Started, Validated

if TYPE_CHECKING:
    from optuna.trial import Trial

WAIT_SECONDS = 1.0
RUN, SEED, DEATHS = "run", "seed", "deaths"  # attributes of a trial: `run 3` is the run of seed 3, `seed 3` its result


@dataclass
class Active:
    """A trial that this process works on."""

    trial: Trial
    settings: dict[str, Any]
    todo: list[int]
    under_way: set[int] = field(default_factory=set)
    pruned: bool = False
    reason: str = ""

    def gated(self, curves: bool) -> bool:
        """Whether the other seeds wait for the first one, whose curve says if the trial is worth it."""
        return curves and bool(self.under_way) and not seeds_of(self.trial.user_attrs)


class Loop:
    """Works on a study until nothing is left to do, here or elsewhere.

    Args:
        plan: the study.
        ledger: its trials.
        launcher: who does the jobs.
        job: makes a job of a trial, its settings, a seed, and perhaps the id of a run to go on with.
        news: called when something happened that is worth showing.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        launcher: Launcher,
        job: Callable[[int, Mapping[str, Any], int, str | None, bool], Job],
        news: Callable[[], None] = lambda: None,
    ) -> None:
        self.plan, self.ledger, self.launcher, self.job, self.news = plan, ledger, launcher, job, news
        self.active: dict[int, Active] = {}
        self.beaten = time.monotonic() - storage.BEAT_SECONDS

    def run(self, stopped: Callable[[], bool]) -> None:
        """Works until everything is done or `stopped` says so; trials under way are kept then, to be gone on with.

        Raises:
            LabError: no trial can ever have a value.
        """
        try:
            while not stopped():
                self._beat()
                self._hand_out()
                if self.active:
                    self._handle(self.launcher.events(WAIT_SECONDS))
                elif self.ledger.open():  # another process is at work, or has died
                    self._tidy()
                    self._handle(self.launcher.events(WAIT_SECONDS))
                else:
                    return
        finally:
            self._give_back()

    def _hand_out(self) -> None:
        """Gives every idle worker something to do."""
        for _ in range(self.launcher.idle):
            found = next((active for active in self.active.values() if active.todo and not self._waits(active)), None)
            if found is None:
                trial = self.ledger.take()
                if trial is None:
                    return
                found = self._begin(trial)
            if found is not None and found.todo:
                self._start(found)

    def _waits(self, active: Active) -> bool:
        return active.gated(self.plan.curves)

    def _begin(self, trial: Trial) -> Active | None:
        from lab.study.plan.space import settings

        done = seeds_of(trial.user_attrs)
        chosen = settings(self.plan.dimensions, trial)
        active = Active(trial, chosen, [seed for seed in self.plan.seeds if seed not in done])
        self.active[trial.number] = active
        if not active.todo:  # its owner died between the last seed and the end
            self._settle(active)
            return None
        return active

    def _start(self, active: Active) -> None:
        seed = active.todo.pop(0)
        first = self.plan.curves and not seeds_of(active.trial.user_attrs)
        run_id = active.trial.user_attrs.get(f"{RUN} {seed}")
        active.under_way.add(seed)
        self.launcher.start(self.job(active.trial.number, active.settings, seed, run_id, first))

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            active = self.active[event.key[0]]
            seed = event.key[1]
            if isinstance(event, Started):
                active.trial.set_user_attr(f"{RUN} {seed}", event.run_id)
            elif isinstance(event, Validated):
                self.launcher.answer(event.key, self._prune(active, event))
            elif isinstance(event, Died):
                active.under_way.discard(seed)
                self._bury(active, seed, event.reason)
            elif isinstance(event, Ended):
                active.under_way.discard(seed)
                self._note(active, seed, event.outcome)
            self.news()

    def _prune(self, active: Active, report: Validated) -> bool:
        value = None if self.plan.monitor is None else report.metrics.get(self.plan.monitor)
        if value is not None and report.position not in self._reported(active):
            active.trial.report(value, report.position)
        return bool(active.trial.should_prune())

    def _reported(self, active: Active) -> Mapping[int, float]:
        values: Mapping[int, float] = self.ledger.study._storage.get_trial(active.trial._trial_id).intermediate_values
        return values

    def _bury(self, active: Active, seed: int, reason: str) -> None:
        """A worker died: its job is done again from the last checkpoint, but not for ever."""
        deaths = active.trial.user_attrs.get(DEATHS, 0) + 1
        active.trial.set_user_attr(DEATHS, deaths)
        if deaths > self.plan.file.retries:
            active.reason = active.reason or f"{reason}, {deaths} times"
            active.todo.clear()
        else:
            active.todo.insert(0, seed)
        self._settle_if_over(active)

    def _note(self, active: Active, seed: int, outcome: Outcome) -> None:
        if outcome.status == "finished":
            missing = [metric for metric in self.plan.metrics if metric not in outcome.metrics]
            if missing:
                near = nearest(missing[0], outcome.metrics) or f"; it logs {', '.join(sorted(outcome.metrics))}"
                raise LabError(f"no run logs the metric {missing[0]!r}{near}; say another one in `metric:`")
            kept = {"run": outcome.run_id, "metrics": dict(outcome.metrics), "seconds": outcome.seconds}
            active.trial.set_user_attr(f"{SEED} {seed}", kept)
            if self.plan.file.pruner == "wilcoxon" and not active.pruned:
                active.trial.report(outcome.metrics[self.plan.metrics[0]], self.plan.seeds.index(seed))
                active.pruned = bool(active.trial.should_prune())
        elif outcome.status == "pruned":
            active.pruned = True
        elif outcome.status == "failed":
            active.reason = active.reason or f"seed {seed}: {outcome.reason}"
        else:  # told to stop by somebody else than this process
            active.todo.insert(0, seed)
        if active.pruned:
            active.todo.clear()
        self._settle_if_over(active)

    def _settle_if_over(self, active: Active) -> None:
        if not active.todo and not active.under_way:
            self._settle(active)

    def _settle(self, active: Active) -> None:
        """The trial's end: a value, pruned, or failed."""
        del self.active[active.trial.number]
        results = seeds_of(active.trial.user_attrs)
        if active.pruned:
            self.ledger.study.tell(active.trial, state=TrialState.PRUNED)
        elif active.reason:
            self.ledger.fail(active.trial, active.reason, final=True)
        else:
            combine = statistic(self.plan.file.statistic)
            values = [combine([result.metrics[name] for result in results.values()]) for name in self.plan.metrics]
            self.ledger.study.tell(active.trial, values)
        self.news()

    def _tidy(self) -> None:
        if self.ledger.reap():
            self.ledger.fill()

    def _beat(self) -> None:
        if time.monotonic() - self.beaten > storage.BEAT_SECONDS:
            self.beaten = time.monotonic()
            storage.beat(self.ledger.study)
            self._tidy()

    def _give_back(self) -> None:
        """Stops what is under way, and puts its trials back on the list."""
        if not self.active:
            return
        for event in self.launcher.stop():
            active = self.active.get(event.key[0])
            if active is None:
                continue
            if isinstance(event, Started):
                active.trial.set_user_attr(f"{RUN} {event.key[1]}", event.run_id)
            elif isinstance(event, Ended) and event.outcome.status == "finished":
                active.under_way.discard(event.key[1])
                self._note(active, event.key[1], event.outcome)
        for active in list(self.active.values()):
            self.ledger.release(active.trial)
        self.active.clear()
        self.ledger.fill()
