"""What every part of the contract uses: short runs of a recipe, and what they leave behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.recipe import load

if TYPE_CHECKING:
    from torch import Tensor

    from lab.runner.results import RunResult

    Weights = dict[str, Tensor]

# Two epochs of one batch, on the one device every machine has. (Were an epoch of unknown length cut off after two
# batches, Lightning would leave out the validation wherever the epoch had only one.)
SMALL = (
    "trainer.max_epochs=2",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
    "track.system_metrics=false",
)
SHRUNK = (*SMALL, "trainer.limit_train_batches=1")
UNTESTED = (*SHRUNK, "trainer.limit_test_batches=0")  # where its weights are all that is asked


class ContractError(AssertionError):
    """A task does not keep one clause of the contract; the message says which, and what to change."""


def train(file: Path, folder: Path, seed: int, size: Sequence[str] = SHRUNK) -> RunResult:
    """Run the recipe for a few batches, tracked in a database of its own."""
    from lab.runner.fit import fit

    settings = overrides(folder, seed, size)
    try:
        return fit(load(file, settings))
    except Exception as error:
        command = " ".join(["lab run", str(file), *settings])
        raise ContractError(f"`{command}` failed with {type(error).__name__}: {error}") from error


def require(kept: object, sentence: str) -> None:
    if not kept:
        raise ContractError(sentence)


def overrides(folder: Path, seed: int, size: Sequence[str]) -> list[str]:
    return [*size, f"seed={seed}", f"track.uri=sqlite:///{folder.resolve()}/mlflow.db"]


def weights(checkpoint: Path | None) -> Weights:
    import torch

    assert checkpoint is not None  # check_checkpoints has seen it
    weights: Weights = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    return weights


def same(one: Weights, other: Weights) -> bool:
    import torch

    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
