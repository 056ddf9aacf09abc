"""The parts of a run's life in which a project's code runs, and what the global functions do in each."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import Run

    from lab.tracking.logger import Tracker


@contextmanager
def constructing() -> Iterator[None]:
    """There is no run yet: what needs one is refused, and what would change its place does nothing."""
    from lab.tracking.global_functions import mlflow_functions, wandb_functions

    with mlflow_functions.constructing(), wandb_functions.constructing():
        yield


@contextmanager
def training(tracker: Tracker, parts: Iterable[object]) -> Iterator[None]:
    """They log into the run.

    Args:
        tracker: the run.
        parts: the module, the data module and the callbacks.
    """
    from lab.tracking.global_functions import mlflow_functions, wandb_functions

    if any(map(_mentions_wandb, parts)):
        with suppress(ImportError):  # now, because a hook may import it for the first time
            import_module("wandb")
    run = tracker.run_id
    with mlflow_functions.current_run(tracker.uri, run), wandb_functions.current_run(tracker.experiment, run):
        yield


@contextmanager
def looking_again(run: Run) -> Iterator[None]:
    """They do nothing: a checkpoint of the run is tested or played once more."""
    from lab.tracking.global_functions import mlflow_functions, wandb_functions

    with mlflow_functions.recording_nothing(run), wandb_functions.recording_nothing():
        yield


def _mentions_wandb(part: object) -> bool:
    """Whether the file of a project's class has the word."""
    name = type(part).__module__
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None or name.partition(".")[0] in ("lab", "lightning", "torch"):
        return False
    return "wandb" in Path(file).read_text(encoding="utf-8", errors="ignore")
