"""The clause on interruption, in one process: a training stopped anywhere and resumed is one that was left alone."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning import Callback

from lab import files
from lab.engine.checkpoint import usable
from lab.engine.signals import Stopped
from lab.recipe import Recipe
from lab.runner.assemble import assemble
from lab.runner.training import Trained
from lab.runner.training import train as fit
from lab.runner.weights import begin
from lab.testing.memory import MemoryLogger
from lab.testing.runs import ContractError, require
from lab.tracking.names import metric_name

if TYPE_CHECKING:
    from lab.engine.saver import Saver

# Of a checkpoint at the end of training: whatever decides what a module is and how its training would go on.
STATE = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "epoch", "global_step")


class Interrupt(Callback):
    """Asks for the end of training after so many batches, as Ctrl-C does."""

    def __init__(self, saver: Saver, batches: int) -> None:
        self.saver, self.left = saver, batches

    def on_train_batch_start(self, *_: Any) -> None:
        self.left -= 1
        if not self.left:
            self.saver.signals.received = signal.SIGINT


@dataclass(frozen=True)
class Whole:
    """A training that nobody interrupted.

    Args:
        last: its last checkpoint.
        best_score: the monitored metric of its best one.
        points: every value of every metric of the training, see `identities`.
    """

    last: Path
    best_score: float | None
    points: frozenset[str]


def identities(points: Iterable[tuple[str, int, float]]) -> frozenset[str]:
    """Names, steps and values as the tracking server has them, which keeps one of those that are the same.

    Without Lightning's `epoch`, which a test logs as well as a training.
    """
    most = sys.float_info.max  # stands for infinity there
    plain = [(metric_name(name), step, min(max(value, -most), most)) for name, step, value in points if name != "epoch"]
    return frozenset(map(repr, plain))


def train(recipe: Recipe, folder: Path, logger: MemoryLogger, stop: int = 0, resume: bool = False) -> Trained:
    """Trains with new objects, in memory but for the checkpoints.

    Args:
        recipe: what to train.
        folder: where the checkpoints go.
        logger: what it logs.
        stop: the batch after which it is stopped; 0 for none.
        resume: go on from the checkpoint in `folder`.

    Raises:
        Stopped: it was.
    """
    assembly = assemble(recipe)
    if not resume:
        assembly = begin(assembly)
    assembly.trainer.callbacks.insert(0, Interrupt(assembly.saver, stop))  # type: ignore[attr-defined]
    return fit(assembly, logger, folder, usable(folder) if resume else None)


def whole(recipe: Recipe, folder: Path) -> Whole:
    """A training that others are compared with."""
    logger = MemoryLogger()
    try:
        trained = train(recipe, folder, logger)
    except Exception as error:
        raise ContractError(f"training {recipe.path} failed with {type(error).__name__}: {error}") from error
    assert trained.last is not None
    return Whole(trained.last, trained.best_score, identities(logger.points))


def check_resume(recipe: Recipe, folder: Path, left_alone: Whole, stops: Sequence[float]) -> None:
    """A training stopped anywhere and resumed with new objects has the same weights, state and metrics, to the bit.

    Args:
        recipe: what was trained.
        folder: where the checkpoints go.
        left_alone: the training that was not stopped.
        stops: how far the others are when they are stopped, from 0 to 1.
    """
    expected = files.load(left_alone.last)
    batches = expected["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["completed"]
    for number, stop in enumerate(stops):
        logger, batch = MemoryLogger(), 1 + int(stop * (batches - 1))
        kept = folder / f"stopped{number}"
        where = f"stopped after batch {batch} of {batches} and resumed, the run"
        try:
            train(recipe, kept, logger, stop=batch)
        except Stopped:
            pass
        else:
            raise ContractError(f"the run was not stopped after batch {batch}")
        try:
            resumed = train(recipe, kept, logger, resume=True)
        except Exception as error:
            raise ContractError(f"{where} failed with {type(error).__name__}: {error}") from error
        assert resumed.last is not None
        found = files.load(resumed.last)
        different = list(differences({key: expected[key] for key in STATE}, {key: found[key] for key in STATE}))
        require(
            not any(name.startswith("state_dict") for name in different),
            f"{where} has other weights than one that was left alone: something that decides them is in no state_dict",
        )
        require(not different, f"{where} differs from one that was left alone in {', '.join(different[:3])}")
        points = identities(logger.points)
        lacking, added = sorted(left_alone.points - points), sorted(points - left_alone.points)
        same = left_alone.points == points
        require(same, f"{where} lacks the metrics {lacking[:5]} and has {added[:5]} instead")
        require(left_alone.best_score == resumed.best_score, f"{where} has another best checkpoint")


def differences(one: Any, other: Any, name: str = "") -> Iterator[str]:
    """The dotted names of all that is not the same to the bit in two nested values."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if one.dtype != other.dtype or not torch.equal(one.nan_to_num(), other.nan_to_num()):
            yield name
    elif isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            inner = f"{name}.{key}" if name else str(key)
            if key in one and key in other:
                yield from differences(one[key], other[key], inner)
            else:
                yield inner
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        for i, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{name}.{i}")
    elif repr(one) != repr(other):
        yield name
