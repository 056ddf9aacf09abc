"""Helpers of all parts of the contract: runs of a short recipe, and what they leave behind."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.testing.short import SHRUNK, overrides, small

if TYPE_CHECKING:
    from torch import Tensor

    from lab.runner.results import RunResult

    Weights = dict[str, Tensor]


class ContractError(AssertionError):
    """A task does not keep one clause of the contract; the message says which, and what to change."""


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
    from lab.tracking.server import client

    folder = tempfile.mkdtemp(prefix="lab-empty-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = Path(folder, "mlflow.db")
    client(f"sqlite:///{file}")
    return file


def require(kept: object, sentence: str) -> None:
    if not kept:
        raise ContractError(sentence)


def weights(checkpoint: Path | None) -> Weights:
    import torch

    assert checkpoint is not None  # check_checkpoints has seen it
    weights: Weights = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    return weights


def same(one: Weights, other: Weights) -> bool:
    import torch

    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
