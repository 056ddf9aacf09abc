"""Training stops when a loss is no number any more: what follows could only be wrong, and would cost money."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lightning import Callback, LightningModule, Trainer

from lab.engine.progress import counted
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.engine.saver import Saver

LOOK_EVERY = 50  # batches


class FiniteLoss(Callback):
    """Looks at the loss that a training step returns, and at logged metrics with `loss` in their name.

    On a graphics card looking means waiting for it, so there the losses are added up and looked at every
    50 batches; the sum of numbers with something that is none is none.

    Args:
        saver: knows the last good checkpoint.
    """

    def __init__(self, saver: Saver) -> None:
        self.saver = saver
        self.waiting: Any = 0.0

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002 - Lightning's signature
        outputs: Any,
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        if self.saver.tracker is not None and self.saver.tracker.not_finite:
            name, value, step = self.saver.tracker.not_finite
            raise LabError(self._message(trainer, name, value, f"step {step}"))
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is None:
            return
        if not loss.is_cpu:
            self.waiting = self.waiting + loss.detach()
            if (batch_idx + 1) % LOOK_EVERY:
                return
            loss, self.waiting = self.waiting, 0.0
        value = float(loss.sum() if loss.ndim else loss)
        if not math.isfinite(value):
            done, _, unit = counted(trainer)
            raise LabError(self._message(trainer, "the loss", value, f"{unit} {done}"))

    def _message(self, trainer: Trainer, name: str, value: float, where: str) -> str:
        last = self.saver.last
        kept = f"the last good checkpoint is {last}" if last.exists() else "there is no checkpoint yet"
        settings: Mapping[str, Any] = trainer.lightning_module.hparams
        lower = "lower model.lr" if "lr" in settings else "lower the learning rate"
        clip = " or set trainer.gradient_clip_val" if trainer.lightning_module.automatic_optimization else ""
        return f"{name} is {value} at {where} (epoch {trainer.current_epoch}); {kept}; {lower}{clip}"
