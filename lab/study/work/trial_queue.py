"""The queue of a study's trials: finished, running and waiting ones, consistent after any crash.

The plan is a list of trials, each with fixed settings or none. Every entry becomes a trial that waits in Optuna's
storage; taking one is atomic there, so that any number of processes can work on a study. A trial that ended without a
result is queued again with its finished seeds. Two processes may queue the same entry at the same moment: the later one
is marked as a duplicate when it is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from lab.study.plan import sampling
from lab.study.work import storage

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial, Trial

    from lab.study.plan.schema import StudyFile

ENTRY, OWNER, TRIES = "entry", "owner", "tries"  # attributes of a trial
DUPLICATE = "duplicate"  # another trial has its entry
FINAL = "final"  # it failed and would fail again
REASON = "reason"  # why it failed
OWNERLESS_SECONDS = 30.0  # how long a taken trial may have no owner: the owner is written right after taking it


class TrialQueue:
    """The trials of a study.

    Args:
        study: Optuna's.
        file: what the study says.
        plan: for each trial the values Optuna is told to take, by Optuna's names; an empty one leaves it the choice.
    """

    def __init__(self, study: optuna.Study, file: StudyFile, plan: Sequence[dict[str, Any]]) -> None:
        self.study, self.file, self.plan = study, file, plan

    def fill(self) -> None:
        """Queues every entry that is neither queued, nor finished, nor given up."""
        by_entry: dict[int, list[FrozenTrial]] = {}
        for trial in self._entered():
            by_entry.setdefault(trial.user_attrs[ENTRY], []).append(trial)
        for entry, settings in enumerate(self.plan):
            before = by_entry.get(entry, [])
            if any(_has_result(trial) or not trial.state.is_finished() for trial in before):
                continue
            if not before:
                self.study.enqueue_trial(settings, user_attrs={ENTRY: entry, TRIES: 0})
                continue
            last = before[-1]
            tries = last.user_attrs[TRIES]
            if tries <= self.file.retries:
                known = {key: value for key, value in last.user_attrs.items() if key not in (OWNER, REASON)}
                self.study.enqueue_trial(settings | last.params, user_attrs=known)

    def take(self) -> Trial | None:
        """Takes the next waiting trial for this process; None if there is none."""
        while waiting := self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self.study.sampler = sampling.sampler(self.file, waiting[0].number)
            trial = self.study.ask()
            entry = trial.user_attrs.get(ENTRY)  # None: somebody else took the last one, and Optuna made a new one
            rivals = [other for other in self._entered() if other.user_attrs[ENTRY] == entry]
            earlier = [other for other in rivals if other.number < trial.number]
            if entry is None or any(_has_result(other) or not other.state.is_finished() for other in earlier):
                trial.set_user_attr(DUPLICATE, True)
                self.study.tell(trial, state=TrialState.FAIL)
                continue
            trial.set_user_attr(OWNER, storage.owner())
            trial.set_user_attr(TRIES, trial.user_attrs[TRIES] + 1)
            return trial
        return None

    def fail_stale(self) -> int:
        """Fails the trials whose process has died, so that `fill` queues them again; returns how many."""
        heartbeats = self.study.user_attrs
        count = 0
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            owner, since = trial.user_attrs.get(OWNER), trial.datetime_start
            just_taken = (
                owner is None and since is not None and (datetime.now() - since).total_seconds() < OWNERLESS_SECONDS
            )
            if not just_taken and not storage.alive(owner, heartbeats):
                self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
                count += 1
        return count

    def release(self, trial: Trial) -> None:
        """Returns a trial that this process will not finish; the attempt does not count."""
        trial.set_user_attr(TRIES, trial.user_attrs[TRIES] - 1)
        self.study.tell(trial, state=TrialState.FAIL)

    def fail(self, trial: Trial, reason: str, final: bool) -> None:
        """Ends a trial without a value.

        Args:
            trial: this process's.
            reason: why, on one line.
            final: whether it would fail again.
        """
        trial.set_user_attr(REASON, reason)
        if final:
            trial.set_user_attr(FINAL, True)
        self.study.tell(trial, state=TrialState.FAIL)

    def begun(self) -> int:
        """The number of entries of the plan that were ever queued."""
        return max((trial.user_attrs[ENTRY] + 1 for trial in self._entered()), default=0)

    def open(self) -> bool:
        """Whether any trial waits or is under way, here or elsewhere."""
        return any(not trial.state.is_finished() for trial in self._entered())

    def _entered(self) -> list[FrozenTrial]:
        return entered(self.study)


def entered(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that stand for an entry of the plan, oldest first."""
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if ENTRY in trial.user_attrs and DUPLICATE not in trial.user_attrs]


def current_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The newest trial of each entry, in the order of the plan."""
    newest: dict[int, FrozenTrial] = {}
    for trial in entered(study):
        newest[trial.user_attrs[ENTRY]] = trial
    return sorted(newest.values(), key=lambda trial: int(trial.user_attrs[ENTRY]))


def _has_result(trial: FrozenTrial) -> bool:
    """Whether a trial is complete, pruned or finally failed."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or FINAL in trial.user_attrs
