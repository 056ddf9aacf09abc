"""Helpers of all parts of the contract: short runs of a recipe, and what they leave behind."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.keywords import keywords
from lab.recipe import Recipe, load
from lab.registry import find_task

if TYPE_CHECKING:
    from torch import Tensor

    from lab.runner.results import RunResult

    Weights = dict[str, Tensor]

# Two epochs, on the one device every machine has. (Were an epoch of unknown length cut off after two batches, Lightning
# would leave out the validation wherever the epoch had only one.)
SMALL = (
    "trainer.max_epochs=2",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
    "compile=false",
    "track.system_metrics=false",
)
SHRUNK = (*SMALL, "trainer.limit_train_batches=1")
# Long enough to be stopped in the middle of an epoch, and saved after every batch, so that every point is a new one.
BATCHES = 4
RESUMED = (*SMALL, f"trainer.limit_train_batches={BATCHES}", "checkpoint.steps=1")
# Shorter evaluations, rollouts, updates and less data, wherever a constructor has the keyword and a recipe wants more.
AT_MOST = {
    "model": {"update_epochs": 2, "critic_updates": 2},
    "data": {
        "batch_size": 8,
        "episode_steps": 50,
        "eval_episodes": 1,
        "learning_starts": 100,
        "max_images": 520,
        "num_steps": 64,
        "test_episodes": 1,
        "train_freq": 10,
    },
}


class ContractError(AssertionError):
    """A task does not keep one clause of the contract; the message says which, and what to change."""


def small(file: Path, seed: int = 0, size: Sequence[str] = SHRUNK, folder: Path | None = None) -> Recipe:
    """The recipe for a run of a few batches.

    Args:
        file: the recipe.
        seed: of the run.
        size: overrides that say how few.
        folder: where it is tracked, in a database of its own.
    """
    return load(file, overrides(file, seed, size, folder))


def train(file: Path, folder: Path, seed: int, size: Sequence[str] = SHRUNK) -> RunResult:
    """Run the recipe for a few batches, tracked in a database of its own."""
    from lab.runner.fit import fit

    if not (folder / "mlflow.db").exists():
        shutil.copy(empty_database(), folder / "mlflow.db")
    try:
        return fit(small(file, seed, size, folder))
    except Exception as error:
        command = " ".join(["lab run", str(file), *overrides(file, seed, size, folder)])
        raise ContractError(f"`{command}` failed with {type(error).__name__}: {error}") from error


@functools.cache
def empty_database() -> Path:
    """A database as MLflow makes it, to be copied: to make one costs seconds."""
    from mlflow import MlflowClient

    folder = tempfile.mkdtemp(prefix="lab-empty-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = Path(folder, "mlflow.db")
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


def require(kept: object, sentence: str) -> None:
    if not kept:
        raise ContractError(sentence)


def overrides(file: Path, seed: int, size: Sequence[str], folder: Path | None = None) -> list[str]:
    """The overrides for a short run: `size`, and less of what `AT_MOST` names."""
    uri = [] if folder is None else [f"track.uri=sqlite:///{folder.resolve()}/mlflow.db"]
    return [*size, *_less(load(file)), f"seed={seed}", *uri]


def _less(recipe: Recipe) -> Iterator[str]:
    """An override for each keyword of an installed task that is larger than a short run needs, or without a limit."""
    if not isinstance(recipe.task, str):
        return
    task = find_task(recipe.task)
    for section, target, values in (("model", task.module, recipe.model), ("data", task.data, recipe.data)):
        for name, keyword in keywords(target)[0].items():
            most, value = AT_MOST[section].get(name), values.get(name, keyword.default)
            if most is not None and (value is None or (isinstance(value, int) and value > most)):
                yield f"{section}.{name}={most}"


def weights(checkpoint: Path | None) -> Weights:
    import torch

    assert checkpoint is not None  # check_checkpoints has seen it
    weights: Weights = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    return weights


def same(one: Weights, other: Weights) -> bool:
    import torch

    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
