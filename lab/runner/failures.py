"""A failure of a run as one line: in which part, at which step, in whose code, and what to change."""

from __future__ import annotations

import errno
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning import Callback, LightningModule, Trainer

from lab.engine.progress import counted
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.runner.assembly import Assembly

LIBRARIES = sysconfig.get_paths()["purelib"], sysconfig.get_paths()["stdlib"]
OURS = tuple(str(Path(__file__).parents[1] / room) for room in ("runner", "recipe", "keywords.py"))
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
    found = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if not code.co_filename.startswith((*LIBRARIES, *OURS, "<")):
            found = f"raised in {code.co_qualname} ({code.co_filename}:{line})"
    return found


def raised_in(error: BaseException, owner: Any) -> str:
    """File and line of the innermost of somebody's own code, rather that of the package which `owner` comes from."""
    home = str(getattr(sys.modules.get(getattr(owner, "__module__", "").partition(".")[0]), "__file__", None) or "")
    folder = str(Path(home).parent) if home.endswith("__init__.py") else home
    lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    others = [(file, line) for file, line in lines if not file.startswith((*LIBRARIES, *OURS, "<"))]
    own = [(file, line) for file, line in lines if folder and file.startswith(folder)]
    for file, line in reversed(own or others):
        path = Path(file)
        return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{line}"
    return ""


def _said(error: BaseException) -> str:
    """Kind and message; of one from a worker process, which brings its whole traceback along, the last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "Traceback (most recent call last)" in str(error):
        return lines[-1]
    return ": ".join([type(error).__name__, *lines[:1]])
