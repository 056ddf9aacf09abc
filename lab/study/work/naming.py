"""Names of the trainings of a study: `seed 3`, `fold 2 of 5`, `trial 7`, and in MLflow by their settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lab.study.plan.plan import Plan
from lab.study.report.render import label
from lab.study.report.summary import TrialSummary

FOLD, FOLDS = "data.fold", "data.folds"

LONGEST = 120  # characters of a run's name

Kind = Literal["seed", "fold", "trial"]


@dataclass(frozen=True)
class Naming:
    """Names of the trainings of a study, and how many of them are finished.

    Args:
        plan: the study.
    """

    plan: Plan

    @property
    def kind(self) -> Kind:
        """The word for one training: they differ by seed, by fold, or by the settings of a trial."""
        if self.plan.file.sampler == "none":
            return "seed"
        keys = {dimension.key for dimension in self.plan.dimensions}
        return "fold" if keys == {FOLD} and len(self.plan.seeds) == 1 else "trial"

    @property
    def count(self) -> int:
        """The number of seeds, folds or trials."""
        return len(self.plan.seeds if self.kind == "seed" else self.plan.entries)

    def training(self, trial: int, settings: Mapping[str, Any], seed: int) -> str:
        """One training.

        Args:
            trial: number of its trial.
            settings: of the recipe, chosen for the trial.
            seed: the recipe's.
        """
        if self.kind == "seed":
            return f"seed {seed}"
        if self.kind == "fold":
            folds = self.plan.recipe.data.get(FOLDS.removeprefix("data."))
            return f"fold {settings[FOLD]}" + (f" of {folds}" if folds else "")
        return f"trial {trial}" + (f", seed {seed}" if len(self.plan.seeds) > 1 else "")

    def run(self, trial: int, settings: Mapping[str, Any], seed: int) -> str:
        """The name of its run in MLflow, of what it differs in: `#4 seed 2 lr=0.001 gamma=0.95`.

        The numbers stand first: MLflow's lists cut a name after a dozen characters.

        Args:
            trial: number of its trial.
            settings: of the recipe, chosen for the trial.
            seed: the recipe's.
        """
        if self.kind != "trial":
            return self.training(trial, settings, seed)
        last = Counter(key.rpartition(".")[2] for key in settings)
        short = {key: key.rpartition(".")[2] for key in settings}
        numbers = [f"#{trial}", *([f"seed {seed}"] if len(self.plan.seeds) > 1 else [])]
        parts = [f"{short[key] if last[short[key]] == 1 else key}={label(value)}" for key, value in settings.items()]
        text = " ".join(" ".join([*numbers, *parts]).split())
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."

    def finished(self, trials: list[TrialSummary]) -> str:
        """The number that is over: `2 of 5 seeds finished`, or `3 of 20 trials finished, 1 pruned, 1 failed`."""
        states = [trial.state for trial in trials]
        if self.kind == "seed":
            done = sum(len(trial.results) for trial in trials)
            return f"{done} of {self.count} seeds finished"
        others = [f"{n} {state}" for state in ("pruned", "failed") if (n := states.count(state))]
        return ", ".join([f"{states.count('complete')} of {self.count} {self.kind}s finished", *others])
