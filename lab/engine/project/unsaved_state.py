"""Names the state of a project's objects that training changes and checkpoints do not contain."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import nn
from torch.utils.data import Dataset
from torchmetrics import Metric

from lab.engine.saver import Saver
from lab.fingerprint import of_rows
from lab.sentences import note

KEY = "unsaved"  # of the part of a checkpoint that is lab's
CHECKPOINT_HOOKS = ("state_dict", "on_save_checkpoint")
MOST_ENTRIES, MOST_BYTES, MOST_NAMES = 100, 1 << 16, 5
OURS = ("lab", "lightning", "torch", "torchmetrics")


class UnsavedState(Callback):
    """Compares attributes before the first batch and when a checkpoint is written: numbers, tensors, lists, datasets.

    Lightning saves weights and buffers. An attribute that is neither, and that no `on_save_checkpoint`, `state_dict` or
    `get_extra_state` writes, has its first value again in a resumed run. This is said at the first checkpoint that a
    run can be resumed from, and when one is.

    Args:
        saver: writes the checkpoints.
    """

    def __init__(self, saver: Saver) -> None:
        self.saver = saver
        self.at_start: dict[str, object] | None = None
        self.said = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self.at_start = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.at_start is None:  # not before: what a module sets in its own `on_train_start` is set again by a resume
            self.at_start = dict(self._marks(trainer, pl_module))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        self.on_train_epoch_start(trainer, pl_module)  # which a resume within an epoch leaves out

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self.saver.pending is None or self.saver.pending["trained"]:
            return
        before = self.at_start
        changed = [] if before is None else [n for n, mark in self._marks(trainer, pl_module) if mark != before.get(n)]
        self.saver.pending[KEY] = changed  # the saver comes later where a module brings callbacks
        checkpoint.get("lab", {})[KEY] = changed
        if changed and not self.said and trainer.is_global_zero:
            self.said = True
            note(
                f"checkpoints do not contain {_listed(changed)}, which training changes: a resumed run begins with the "
                "first values; use buffers, on_save_checkpoint or state_dict"
            )

    def _marks(self, trainer: Trainer, module: LightningModule) -> Iterator[tuple[str, object]]:
        """Marks of all but the datasets of training loaders that are made anew, which the saver keeps."""
        kept = [id(dataset) for dataset in self.saver.reloaded.datasets]
        for name, value in _unsaved(trainer, module):
            if id(value) not in kept and (mark := _mark(value)) is not None:
                yield name, mark

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        lost = checkpoint["lab"].get(KEY) if trainer.state.fn == "fit" and "lab" in checkpoint else None
        if lost and trainer.is_global_zero:
            note(
                f"the checkpoint does not contain {_listed(lost)}: the results may differ from those of a run that was "
                "not interrupted"
            )


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _unsaved(trainer: Trainer, module: LightningModule) -> Iterator[tuple[str, object]]:
    """Attributes that Lightning and the project do not save, by their dotted names."""
    source = ""
    if is_overridden("on_save_checkpoint", module, LightningModule):
        source = _source(type(module).on_save_checkpoint)
    for path, part in module.named_modules():
        saves = (part is module and source) or type(part).get_extra_state is not nn.Module.get_extra_state
        if saves or isinstance(part, Metric) or not _foreign(part):
            continue
        for name, value in _attributes(part, LightningModule if part is module else nn.Module):
            if name not in source:
                yield ".".join(filter(None, ("model", path, name))), value
    data = trainer.datamodule  # type: ignore[attr-defined]
    owners: list[tuple[str, Any, type]] = [("data", data, LightningDataModule)] if data is not None else []
    owners += [(type(each).__name__, each, Callback) for each in trainer.callbacks]  # type: ignore[attr-defined]
    for owner, part, base in owners:
        if _foreign(part) and not any(
            is_overridden(hook, part, base) for hook in CHECKPOINT_HOOKS if hasattr(base, hook)
        ):
            yield from ((f"{owner}.{name}", value) for name, value in _attributes(part, base))


def _attributes(part: object, base: type) -> Iterator[tuple[str, object]]:
    known = _own(base)
    for name, value in vars(part).items():
        passing = "cache" in name or name.startswith("_hparam")  # Lightning makes the latter when they are asked for
        if name not in known and not passing:
            yield name, value


@cache
def _own(base: type) -> frozenset[str]:
    """The attributes that a class of Lightning's or torch's makes itself."""
    return frozenset(vars(base()))


def _mark(value: object) -> object:
    """Something that differs once the value has changed; None for other objects than numbers, tensors and datasets."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return str(value)  # NaN is not equal to itself
    if isinstance(value, nn.Parameter):
        return None
    if isinstance(value, torch.Tensor):
        return id(value), value._version
    if isinstance(value, np.ndarray):
        return id(value), value.tobytes() if value.nbytes <= MOST_BYTES else value.shape
    if isinstance(value, list | tuple | deque):
        return len(value), id(value[-1]) if value else 0, tuple(map(_mark, islice(value, MOST_ENTRIES)))
    if isinstance(value, Mapping):
        return len(value), tuple(map(_mark, islice(value.values(), MOST_ENTRIES)))
    if isinstance(value, Dataset):
        return type(value), str(of_rows(value))
    return None


def _source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return "?"


def _foreign(part: object) -> bool:
    """Whether an object is neither ours nor Lightning's nor torch's."""
    return type(part).__module__.partition(".")[0] not in OURS
