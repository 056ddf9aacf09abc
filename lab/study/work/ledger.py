"""Which trials of a study are done, under way, or still to be done, whatever died in between.

The plan is a list of trials, each with fixed settings or none. Every entry becomes a trial that waits in Optuna's
storage; taking one is atomic there, so that any number of processes can work on a study. A trial that ended without an
answer is put on the list again, with what is already known of it. Two processes may put the same entry on the list at
the same moment: the later of the two is struck out when it is taken.
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
STRUCK = "struck out"  # another trial has its entry
FINAL = "final"  # it failed and would fail again
REASON = "reason"  # why it failed
NEWBORN_SECONDS = 30.0  # how long a trial may be nobody's: its owner writes its name right after taking it


class Ledger:
    """The trials of a study.

    Args:
        study: Optuna's.
        file: what the study says.
        plan: for each trial the values Optuna is told to take, by Optuna's names; an empty one leaves it the choice.
    """

    def __init__(self, study: optuna.Study, file: StudyFile, plan: Sequence[dict[str, Any]]) -> None:
        self.study, self.file, self.plan = study, file, plan

    def fill(self) -> None:
        """Puts every entry on the list that is neither there nor done, nor given up."""
        by_entry: dict[int, list[FrozenTrial]] = {}
        for trial in self._entered():
            by_entry.setdefault(trial.user_attrs[ENTRY], []).append(trial)
        for entry, settings in enumerate(self.plan):
            before = by_entry.get(entry, [])
            if any(_settled(trial) or not trial.state.is_finished() for trial in before):
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
        """The next trial on the list, now this process's; None if there is none."""
        while waiting := self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self.study.sampler = sampling.sampler(self.file, waiting[0].number)
            trial = self.study.ask()
            entry = trial.user_attrs.get(ENTRY)  # None: somebody else took the last one, and Optuna made a new one
            rivals = [other for other in self._entered() if other.user_attrs[ENTRY] == entry]
            earlier = [other for other in rivals if other.number < trial.number]
            if entry is None or any(_settled(other) or not other.state.is_finished() for other in earlier):
                trial.set_user_attr(STRUCK, True)
                self.study.tell(trial, state=TrialState.FAIL)
                continue
            trial.set_user_attr(OWNER, storage.owner())
            trial.set_user_attr(TRIES, trial.user_attrs[TRIES] + 1)
            return trial
        return None

    def reap(self) -> int:
        """Ends the trials whose process is dead, so that `fill` puts them on the list again; returns how many."""
        beats = self.study.user_attrs
        count = 0
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            owner, since = trial.user_attrs.get(OWNER), trial.datetime_start
            newborn = owner is None and since is not None and (datetime.now() - since).total_seconds() < NEWBORN_SECONDS
            if not newborn and not storage.alive(owner, beats):
                self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
                count += 1
        return count

    def release(self, trial: Trial) -> None:
        """Gives a trial back that this process will not finish; the attempt does not count."""
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
        """How many entries of a plan were ever put on the list."""
        return max((trial.user_attrs[ENTRY] + 1 for trial in self._entered()), default=0)

    def open(self) -> bool:
        """Whether any trial waits or is under way, here or elsewhere."""
        return any(not trial.state.is_finished() for trial in self._entered())

    def _entered(self) -> list[FrozenTrial]:
        return entered(self.study)


def entered(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that stand for an entry of the plan, oldest first."""
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if ENTRY in trial.user_attrs and STRUCK not in trial.user_attrs]


def counting(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count, in the order of the plan: of several for one entry the newest, which has it all."""
    found: dict[int, FrozenTrial] = {}
    for trial in entered(study):
        found[trial.user_attrs[ENTRY]] = trial
    return sorted(found.values(), key=lambda trial: int(trial.user_attrs[ENTRY]))


def _settled(trial: FrozenTrial) -> bool:
    """Whether a trial has an answer, if only that there is none."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or FINAL in trial.user_attrs
