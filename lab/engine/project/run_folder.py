"""Callbacks that a recipe or a module brings: where their files go, and under which names their state is saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from lightning.pytorch.utilities.model_helpers import is_overridden

from lab.engine import boundary


@runtime_checkable
class HasFolder(Protocol):
    """A logger with a folder on this machine, which only the first of several processes knows by itself."""

    @property
    def log_dir(self) -> str | None: ...
    def share_folder(self, log_dir: str) -> None: ...


class RunFolder(Callback):
    """Makes the logger's `log_dir` the place of everything that a project writes without saying where.

    That is `trainer.default_root_dir` and the checkpoints of a ModelCheckpoint without `dirpath`. It stands before all
    other callbacks, so that they find it settled.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        distinguish(trainer.callbacks)  # type: ignore[attr-defined]
        logger: object = trainer.logger
        if not isinstance(logger, HasFolder):
            return
        folder: str = trainer.strategy.broadcast(logger.log_dir)  # type: ignore[assignment]
        logger.share_folder(folder)
        boundary.set_root(trainer, folder)
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.dirpath is None:
                callback.dirpath = str(Path(folder) / "checkpoints")


def distinguish(callbacks: Iterable[Callback]) -> None:
    """Gives callbacks names of their own in a checkpoint where several would be saved under one.

    Lightning refuses such callbacks, or keeps the state of one of them only. The first keeps its name, so that the
    states are found again as long as the callbacks stand in the same order.
    """
    seen: Counter[str] = Counter()
    for callback in callbacks:
        if not is_overridden("state_dict", callback, parent=Callback):
            continue
        key = callback.state_key
        seen[key] += 1
        if seen[key] > 1:
            kind = type(callback)
            names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
            callback.__class__ = type(kind.__name__, (kind,), {**names, "state_key": f"{key}#{seen[key]}"})


def brings_progress_bar(callbacks: Iterable[Any]) -> bool:
    """Whether one of the callbacks is a progress bar of Lightning's kind, of which a Trainer has one."""
    return any(isinstance(callback, ProgressBar) for callback in callbacks)
