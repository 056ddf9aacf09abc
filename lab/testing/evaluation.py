"""The clauses on validation, checked with one batch before anything is trained: metric names, random generators."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lightning import Callback
from lightning.pytorch.utilities import CombinedLoader
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from lab.engine.loop_state import State, generators
from lab.errors import nearest
from lab.task import counterpart
from lab.testing.memory import MemoryLogger
from lab.testing.resuming import differences
from lab.testing.runs import require

if TYPE_CHECKING:
    from lightning import LightningDataModule

    from lab.runner.assembly import Assembly
    from lab.task import Task


def check_metrics(task: Task, assembly: Assembly) -> bool:
    """The validation logs the metric that the task monitors, and the test the one that it names as its score.

    Nothing is said of a module that can be validated or tested only while it trains. It warns of global generators.

    Args:
        task: the record.
        assembly: a short run of it, which is validated as it is.

    Returns:
        True, or it raises.
    """
    warn_of_global_generators(assembly.data)
    trainer: Any = assembly.trainer
    trainer.logger = MemoryLogger()
    watch = _ValidationGenerators()
    trainer.callbacks.append(watch)
    wanted = {"validation": task.monitor if task.monitor and counterpart(task.monitor) != task.monitor else None}
    wanted["test"] = task.score
    for stage, evaluate in {"validation": trainer.validate, "test": trainer.test}.items():
        name = wanted[stage]
        if name is None:
            continue
        try:
            evaluate(assembly.module, datamodule=assembly.datamodule, verbose=False)
        except Exception:
            continue
        logged = sorted(trainer.callback_metrics)
        what = "monitors" if stage == "validation" else "has the score"
        hint = nearest(name, logged) or f"; logged are {', '.join(logged) or 'none'}"
        require(name in logged, f"the task {what} {name!r}, which the {stage} does not log{hint}")
    for name in watch.used:
        _warn(
            f"{type(assembly.module).__qualname__}.validation_step uses the global random generator of {name}, so that "
            "its metrics depend on what was trained before; use a generator with a seed of its own"
        )
    return True


def warn_of_global_generators(data: LightningDataModule) -> None:
    """Warns of data that are drawn from a generator that the run's seed sets: each run, or validation, sees others."""
    name = type(data).__qualname__
    with suppress(Exception):  # some can only be set up under a Trainer
        before = generators()
        data.setup("fit")
        for package in _used(before):
            _warn(
                f"{name}.setup uses the global random generator of {package}, so that runs with different seeds see "
                "different data; use a separate generator with a parameter `data_seed`"
            )
        for loader in CombinedLoader(data.val_dataloader()).flattened:
            for part, draw in _parts(loader):
                before = generators()
                draw()
                for package in _used(before):
                    _warn(
                        f"{part} of {name}.val_dataloader uses the global random generator of {package}, so that each "
                        "validation sees different data; use a separate generator with a seed"
                    )


def _parts(loader: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The parts of a loader that may be random, each by itself: as a whole it always draws a seed for its workers."""
    if not isinstance(loader, DataLoader):
        yield type(loader).__qualname__, lambda: next(iter(loader))
        return
    data, batches = loader.dataset, loader.batch_sampler
    if isinstance(data, IterableDataset):
        yield type(data).__qualname__, lambda: next(iter(data))
        sample = next(iter(data))
    else:
        yield type(data).__qualname__, lambda: data[0]
        drawn = loader.sampler if batches is None or type(batches) is BatchSampler else batches
        yield type(drawn).__qualname__, lambda: next(iter(drawn))
        sample = data[0]
    collate = getattr(loader.collate_fn, "__qualname__", type(loader.collate_fn).__qualname__)
    yield f"collate_fn {collate}", lambda: loader.collate_fn(sample if batches is None else [sample])


class _ValidationGenerators(Callback):
    """The global generators that the steps of a validation use."""

    def __init__(self) -> None:
        self.before: State = {}
        self.used: set[str] = set()

    def on_validation_batch_start(self, *_: Any) -> None:
        self.before = generators()

    def on_validation_batch_end(self, *_: Any) -> None:
        self.used |= set(_used(self.before))


def _used(before: State) -> Iterator[str]:
    """The packages whose global generator is not in the state that it was in."""
    yield from {name.partition(".")[0] for name in differences(before, generators())}


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=3)
