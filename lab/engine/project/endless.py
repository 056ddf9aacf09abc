"""Says aloud where a loader without a length would never let training go on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer

from lab.stages import say
from lab.task import hook

ENDLESS = float("inf")  # Lightning's number of batches for a loader without a length


class EndlessLoaders(Callback):
    """Speaks before an epoch, a validation or a test over loaders without a length and without a limit."""

    def __init__(self) -> None:
        self.validated = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if trainer.num_training_batches != ENDLESS or hook(trainer.datamodule, "progress") is not None:  # type: ignore[attr-defined]
            return
        fact = "the training loader has no length, so an epoch lasts until it ends"
        if trainer.max_steps == -1:
            advice = "set trainer.limit_train_batches or trainer.max_steps"
            timed = any(isinstance(each, Timer) for each in trainer.callbacks)  # type: ignore[attr-defined]
            within = " within trainer.max_time" if timed else ""
            self._say(trainer, f"{fact}; if it does not end{within}, {advice}")
        elif trainer.enable_validation and trainer.val_check_batch == ENDLESS:
            advice = "for more set trainer.limit_train_batches or trainer.val_check_interval"
            self._say(
                trainer, f"{fact}; if it does not end by trainer.max_steps, there is one validation, then: {advice}"
            )

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if not trainer.sanity_checking and not self.validated:
            self.validated = True
            self._check(trainer, "validation", trainer.num_val_batches, "limit_val_batches")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._check(trainer, "test", trainer.num_test_batches, "limit_test_batches")

    def _check(self, trainer: Trainer, what: str, batches: Any, key: str) -> None:
        if ENDLESS in (batches if isinstance(batches, Iterable) else [batches]):
            self._say(trainer, f"the {what} loader has no length; if it does not end, set trainer.{key}")

    def _say(self, trainer: Trainer, sentence: str) -> None:
        if trainer.is_global_zero:
            say(sentence)
