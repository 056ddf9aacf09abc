"""Pruning: ending a run early because others are better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning import Callback, LightningModule, Trainer

from lab.engine.progress import counted
from lab.task import hook


class Pruned(Exception):
    """The run was ended early because others promise more."""


class PruningCallback(Callback):
    """Reports the start of a run and every validation, and ends the run if told to.

    Args:
        started: called with the run's id once it has one.
        validated: called with a position and the metrics of the validation there; true ends the run. The position is in
            environment steps where the data module counts them (`progress`), in epochs elsewhere.
    """

    def __init__(self, started: Callable[[str], None], validated: Callable[[int, dict[str, float]], bool]) -> None:
        self.started, self.validated = started, validated

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if trainer.strategy.reduce_boolean_decision(self.validated(position(trainer), metrics), all=False):
            raise Pruned


def position(trainer: Trainer) -> int:
    """Position of the run, in environment steps or in epochs."""
    return counted(trainer)[0] if _counts_itself(trainer) else trainer.current_epoch + 1


def length(trainer: Trainer, data: Any) -> int:
    """The position at the end of the run, 0 if nobody knows."""
    if (progress := hook(data, "progress")) is not None:
        return int(progress()[1])
    return max(0, trainer.max_epochs or 0)


def _counts_itself(trainer: Trainer) -> bool:
    return hook(trainer.datamodule, "progress") is not None  # type: ignore[attr-defined]
