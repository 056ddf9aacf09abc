"""Validates where training would end without a single validation."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer


class FinalValidation(Callback):
    """Validates after the last batch if no validation came before it, so that there is a best checkpoint.

    Lightning itself does not where `max_steps` ends an epoch early, as it ends any with a loader that never does, nor
    where the interval of validations is longer than the training.
    """

    def __init__(self) -> None:
        self.validated = False

    def state_dict(self) -> dict[str, Any]:
        return {"validated": self.validated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.validated = state_dict["validated"]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self.validated |= trainer.state.fn == "fit" and not trainer.sanity_checking

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if not self.validated and _is_last(trainer):
            trainer.check_val_every_n_epoch = None
            trainer.should_stop = True  # Lightning validates before it stops


def _is_last(trainer: Trainer) -> bool:
    """Whether training ends with the present batch."""
    if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
        return True
    last_epoch = trainer.max_epochs not in (None, -1) and trainer.current_epoch + 1 >= trainer.max_epochs
    return last_epoch and trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
