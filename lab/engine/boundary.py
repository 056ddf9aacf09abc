"""The private names of Lightning that exact resuming needs, and all their uses.

No other file of `lab` may reach into Lightning. A name that an upgrade takes away is found by `missing`, which a test
and `lab doctor` ask, and not in the middle of a training.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

from lightning import LightningDataModule, LightningModule, Trainer


@dataclass(frozen=True)
class Name:
    """A part of Lightning that its documentation does not promise.

    Args:
        path: attributes from its owner, which is the Trainer or a module, to it, dotted.
        uses: those of its own attributes that are used.
        why: what would be lost without it.
    """

    path: str
    uses: tuple[str, ...]
    why: str


PRIVATE = (
    Name("fit_loop.epoch_loop._results", ("items", "log"), "half-finished averages of `self.log(on_epoch=True)`"),
    Name("fit_loop.epoch_loop.val_loop._results", ("values",), "the names that the sanity check logs, of every loader"),
    Name("fit_loop.epoch_loop.val_loop._seen_batches_per_dataloader", ("items",), "steps of each batch of validations"),
    Name("_logger_connector", ("on_batch_start",), "whether these averages go on or start anew with the next batch"),
    Name("fit_loop._data_source", ("dataloader",), "data of later epochs, put back into the loaders"),
    Name("fit_loop._last_train_dl_reload_epoch", ("__sub__",), "the epoch in which the loaders are made anew next"),
    Name("_default_root_dir", ("__str__",), "the folder for what is written without saying where"),
)
PRIVATE_OF_MODULES = (Name("_log_hyperparams", ("__bool__",), "whether the loggers get a module's hyperparameters"),)
UNDOCUMENTED = (  # public, but described nowhere
    Name("fit_loop", ("load_state_dict", "on_iteration_done"), "where in which epoch a run goes on"),
    Name("fit_loop.epoch_loop", ("on_run_start", "on_advance_end", "max_steps"), "the point between two batches"),
    Name("fit_loop.epoch_loop.val_loop", ("run",), "generators that a validation leaves as they were"),
    Name("fit_loop.epoch_loop.batch_progress", ("current", "total", "is_last_batch"), "how many batches are done"),
)


def missing(trainer: object) -> list[str]:
    """The names that this version of Lightning does not have, each with what it is for."""
    found = []
    modules = [(kind(), name) for kind in (LightningModule, LightningDataModule) for name in PRIVATE_OF_MODULES]
    for owner, name in [*((trainer, name) for name in (*PRIVATE, *UNDOCUMENTED)), *modules]:
        try:
            attrgetter(*(f"{name.path}.{use}" for use in name.uses))(owner)
        except AttributeError as error:
            found.append(f"{error.name or name.path} ({name.why})")
    return found


def extend(
    trainer: Trainer,
    begin: Callable[[Any, Callable[[Any], None]], None],
    between: Callable[[Any], None],
    around_validation: Callable[[], AbstractContextManager[None]],
    made: Callable[[Any], Any],
) -> None:
    """Calls back from four places of the training for which Lightning has no hook.

    Args:
        trainer: before it trains.
        begin: called with the fetcher of batches and Lightning's own preparations, in whose place it stands, when an
            epoch or the rest of one is about to fetch its first batch.
        between: called with the fetcher after all that belongs to a batch, its validation and its logging included, and
            before the next batch is fetched.
        around_validation: a context that holds during each validation, its loaders' new iterators included.
        made: called with the training loaders each time the module has made them; returns those to train on.
    """
    fit: Any = trainer.fit_loop
    loop, kind, validation = fit.epoch_loop, type(fit.epoch_loop), fit.epoch_loop.val_loop
    source = fit._data_source

    def on_advance_end(fetcher: Any) -> None:
        kind.on_advance_end(loop, fetcher)
        between(fetcher)

    def load_state_dict(*state: Any) -> None:
        limit, loop.max_steps = loop.max_steps, -1  # Lightning takes every restart with a limit for a mid-epoch one
        type(fit).load_state_dict(fit, *state)
        loop.max_steps = limit

    def on_run_start(fetcher: Any) -> None:
        begin(fetcher, partial(kind.on_run_start, loop))

    def run() -> Any:
        with around_validation():
            return type(validation).run(validation)

    def dataloader() -> Any:
        return made(type(source).dataloader(source))

    source.dataloader = dataloader
    validation.run = run
    loop.on_run_start, loop.on_advance_end = on_run_start, on_advance_end
    fit.load_state_dict = load_state_dict


def reloaded_in(trainer: Trainer) -> float:
    """The epoch for which the present training loaders were made; minus infinity before the first."""
    return trainer.fit_loop._last_train_dl_reload_epoch


def set_reloaded_in(trainer: Trainer, epoch: float) -> None:
    """The counterpart of `reloaded_in`."""
    trainer.fit_loop._last_train_dl_reload_epoch = epoch


def validation_batches(trainer: Trainer) -> dict[int, int]:
    """The batches that all validations have seen, by the number of their loader: steps of what each of them logs."""
    return dict(trainer.fit_loop.epoch_loop.val_loop._seen_batches_per_dataloader)


def set_validation_batches(trainer: Trainer, batches: dict[int, int]) -> None:
    """The counterpart of `validation_batches`."""
    trainer.fit_loop.epoch_loop.val_loop._seen_batches_per_dataloader.update(batches)


def set_root(trainer: Trainer, folder: str) -> None:
    """Makes `folder` the Trainer's `default_root_dir`, which is settled before there is a run."""
    owner: Any = trainer
    owner._default_root_dir = folder


def logs_hyperparameters(owner: LightningModule | LightningDataModule) -> bool:
    """Whether it saved hyperparameters that the loggers are to get."""
    return owner._log_hyperparams


def results(trainer: Trainer) -> Any:
    """The values that `self.log` has gathered in this epoch of training, by hook and name."""
    return trainer.fit_loop.epoch_loop._results


def names_in_sanity_check(trainer: Trainer) -> set[str]:
    """The metrics that callbacks would find after a validation; of a sanity check Lightning keeps them to itself."""
    found = set()
    for result in trainer.fit_loop.epoch_loop.val_loop._results.values():
        meta = result.meta
        if meta.on_epoch:
            loader = meta.dataloader_idx if meta.add_dataloader_idx else None
            end = "" if loader is None else f"/dataloader_idx_{loader}"
            found |= {f"{meta.name}{end}", f"{meta.forked_name(on_step=False)}{end}"}
    return found


def continue_averages(trainer: Trainer) -> None:
    """Lets the first `self.log` of this process add to the averages that were restored, and not start them anew."""
    trainer._logger_connector.on_batch_start(None)
