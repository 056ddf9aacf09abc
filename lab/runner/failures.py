"""A failure of a run as one line: in which part, at which step, in whose code, and what to change."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import torch
from lightning import Callback, LightningModule, Trainer

from lab.engine.progress import counted
from lab.errors import LabError, own_frames

if TYPE_CHECKING:
    from lab.runner.assembly import Assembly

FULL = {errno.ENOSPC, errno.EDQUOT}


class FailureContext(Callback):
    """Remembers where a Trainer was when something was raised; Lightning itself forgets it at once."""

    def __init__(self) -> None:
        self.words = "outside of training"

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        if trainer.state.fn != "fit":
            self.words = "in the test"
            return
        stage = {"train": "training", "validate": "validation"}.get(trainer.state.stage or "", "preparing the training")
        done, _, unit = counted(trainer)
        batch = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        self.words = f"in {stage}, epoch {trainer.current_epoch}, batch {batch} ({done} {unit} done)"


def explained(error: BaseException, assembly: Assembly, run_id: str) -> LabError:
    """The error as a LabError of one line; one that is such already stays as it is.

    Args:
        error: what training, testing or recording raised.
        assembly: the run's objects.
        run_id: the run.
    """
    if isinstance(error, LabError):
        return error
    where = next(callback.words for callback in assembly.trainer.callbacks if isinstance(callback, FailureContext))  # type: ignore[attr-defined]
    go_on = f"lab resume {run_id[:8]} goes on from the last checkpoint" if assembly.saver.last.exists() else ""
    if _out_of_memory(error):
        parts = [f"out of memory {where}", _smaller(assembly), go_on]
    elif isinstance(error, OSError) and error.errno in FULL:
        parts = [f"{where}: {error.strerror}", "make room", go_on]
    else:
        parts = [f"{where}: {_said(error)}", _whose(error), go_on, "LAB_DEBUG=1 shows more"]
    return LabError("; ".join(part for part in parts if part))


def _out_of_memory(error: BaseException) -> bool:
    words = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in words or "out of memory" in words)
    )


def _smaller(assembly: Assembly) -> str:
    """The keys of the recipe to lower, with what they are now."""
    data = dict(assembly.data.hparams)
    keys = [f"data.{key} (now {value})" for key, value in data.items() if "batch" in key and isinstance(value, int)]
    keys += [f"data.{key} (now {data[key]})" for key in ("buffer_size",) if key in data]
    if not keys:
        keys = ["the batch size in data:", "the size of the network in model:"]
    half = ", or set trainer.precision=bf16-mixed" if assembly.trainer.precision in ("32-true", "64-true") else ""
    return f"lower {' or '.join(keys)}{half}"


def _whose(error: BaseException) -> str:
    """The innermost line of somebody's own code, neither a library's nor the orchestrator's."""
    frames = own_frames(error)
    return f"raised in {frames[-1][0].co_qualname} ({frames[-1][0].co_filename}:{frames[-1][1]})" if frames else ""


def _said(error: BaseException) -> str:
    """Kind and message; of one from a worker process, which brings its whole traceback along, the last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "Traceback (most recent call last)" in str(error):
        return lines[-1]
    return ": ".join([type(error).__name__, *lines[:1]])
