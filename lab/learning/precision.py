"""The precisions of the Trainer that a module cannot train with, said before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import BadSetting

if TYPE_CHECKING:
    from lightning import Trainer

_UNSCALED = "has no loss scaler, so that small gradients become 0 in float16"
_REASONS = {  # those that no module of `lab` trains with
    "16-true": _UNSCALED,
    "bf16-true": "takes steps that weights of 8 significant bits round away",
    "transformer-engine": "was never trained with layers of the Transformer Engine",
    "transformer-engine-float16": "was never trained with layers of the Transformer Engine",
}


def check_precision(trainer: Trainer, name: str, scales: bool) -> None:
    """Refuses a precision of the Trainer that a module cannot train with.

    >>> from lightning import Trainer
    >>> trainer = Trainer(accelerator="cpu", precision="bf16-mixed", logger=False, enable_checkpointing=False)
    >>> check_precision(trainer, "classify", scales=True)

    Args:
        trainer: what is to train.
        name: of the task.
        scales: whether the gradients of its loss may be scaled: Lightning takes the steps of its optimizer.

    Raises:
        BadSetting: it cannot train with the Trainer's precision; the message says which to take.
    """
    precision = str(trainer.precision)
    reason = _UNSCALED if precision == "16-mixed" and not scales else _REASONS.get(precision)
    if reason is not None:
        raise BadSetting("trainer.precision", f"{name} {reason}; set it to bf16-mixed, 32-true or 64-true")
