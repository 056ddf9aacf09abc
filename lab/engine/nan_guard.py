"""Stops training when a loss becomes NaN or infinite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from lab.engine.progress import counted
from lab.engine.saver import Saver
from lab.errors import LabError

CHECK_EVERY = 50  # batches


class TerminateOnNaN(Callback):
    """Checks the loss that a training step returns; where it returns none, logged metrics with `loss` in their name.

    Those are checked after every validation, too. On a GPU checking means waiting for it, so there the losses
    of 50 batches are added up first: a sum with a NaN or an infinity in it is not finite.

    Args:
        saver: knows the last good checkpoint.
    """

    def __init__(self, saver: Saver) -> None:
        self.saver = saver
        self.sum: Tensor | float = 0.0  # of losses that were not checked yet

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002 - Lightning's signature
        outputs: Any,
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if loss is not None and loss.is_cpu:
            self._check(trainer, "the loss", loss)
        elif loss is not None:
            self.sum = self.sum + loss.detach()
            if (batch_idx + 1) % CHECK_EVERY == 0:
                self._check(trainer, "the loss", self.sum)
                self.sum = 0.0
        elif trainer.strategy.root_device.type == "cpu" or (batch_idx + 1) % CHECK_EVERY == 0:
            self._check_logged(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._check_logged(trainer)

    def _check_logged(self, trainer: Trainer) -> None:
        for name, value in trainer.callback_metrics.items():
            if "loss" in name:
                self._check(trainer, name, value)

    def _check(self, trainer: Trainer, name: str, value: Tensor | float) -> None:
        found = float(value.sum() if isinstance(value, Tensor) and value.ndim else value)
        if math.isfinite(found):
            return
        last = self.saver.last
        kept = f"the last good checkpoint is {last}" if last.exists() else "there is no checkpoint yet"
        settings: Mapping[str, Any] = trainer.lightning_module.hparams
        lower = "lower model.lr" if "lr" in settings else "lower the learning rate"
        clip = " or set trainer.gradient_clip_val" if trainer.lightning_module.automatic_optimization else ""
        done, _, unit = counted(trainer)
        raise LabError(f"{name} is {found} after {done} {unit} (epoch {trainer.current_epoch}); {kept}; {lower}{clip}")
