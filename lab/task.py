"""The contract of a task: a module, a data module, the metric that judges them, and the hooks that both may have.

A hook is found by its name on the class, and none is required; `DataHooks` and `ModuleHooks` list them all.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from annotated_types import Ge, Le

from lab.errors import closest

if TYPE_CHECKING:  # the record itself needs no torch
    from lightning import LightningDataModule, LightningModule, Trainer
    from torch import Tensor

_WORDS = ("validation", "valid", "val", "evaluation", "eval")
_LOWER = "|".join([*_WORDS, *map(str.capitalize, _WORDS)])
_VALIDATION = re.compile(rf"(?<![A-Za-z])(?:(?:{_LOWER})(?![a-z])|(?:{'|'.join(map(str.upper, _WORDS))})(?![A-Za-z]))")
Unit = Annotated[float, Ge(0), Le(1)]  # a setting that is a share, a probability or a discount


@dataclass(frozen=True)
class Task:
    """The record that an entry point of group `lab.tasks` names.

    >>> from lightning import LightningDataModule, LightningModule
    >>> TASK = Task(LightningModule, LightningDataModule, monitor="val/loss", mode="min")
    >>> TASK.score is None  # so that it is `test/loss`
    True

    Args:
        module: the LightningModule class; its constructor's signature is the schema of `model:`. A recipe's own task
            may name a function that returns one.
        data: the LightningDataModule class; its constructor's signature is the schema of `data:`. Likewise.
        monitor: the validation metric that chooses the best checkpoint, such as `val/return`; without
            one the last checkpoint is the best.
        mode: whether a larger (`max`) or a smaller (`min`) value of `monitor` is better.
        score: the test metric that is the run's score; by default the one that corresponds to `monitor`.
        score_mode: whether a larger or a smaller value of `score` is better, where that is not `mode`.
    """

    module: Callable[..., LightningModule]
    data: Callable[..., LightningDataModule]
    monitor: str | None
    mode: Literal["min", "max"]
    score: str | None = None
    score_mode: Literal["min", "max"] | None = None

    @property
    def mode_of_score(self) -> Literal["min", "max"]:
        """Whether a larger or a smaller score is better."""
        return self.score_mode or self.mode


def counterpart(monitor: str) -> str:
    """The test's name for a validation metric: `val/return` -> `test/return`, `m/valid_acc` -> `m/test_acc`.

    The word may be val, valid, validation or eval and has to be a whole one: `value_loss` and `interval` have none.

    >>> counterpart("val/return"), counterpart("value_loss")
    ('test/return', 'value_loss')
    """
    return _VALIDATION.sub(lambda word: _in_case_of(word.group(), "test"), monitor, count=1)


def distinct_metrics(metrics: Iterable[str]) -> list[str]:
    """The metrics without those of each step, and each once: `loss` logged by step and epoch has three names.

    >>> distinct_metrics(["loss", "loss_step", "loss_epoch", "accuracy"])
    ['loss', 'accuracy']
    """
    names = list(metrics)
    twice = {f"{name}_{end}" for name in names for end in ("step", "epoch")}
    return [name for name in names if name not in twice]


def _in_case_of(pattern: str, word: str) -> str:
    return word.upper() if pattern.isupper() else word.capitalize() if pattern[0].isupper() else word


class DataHooks(Protocol):
    """Methods that `lab` calls where a LightningDataModule has them, besides Lightning's own."""

    def facts(self) -> dict[str, Any]:
        """Plain values that the module needs, such as the number of classes; cheap, asked before `setup`.

        Those that the module's constructor names are passed to it; a recipe may not set them.
        """

    def connect(self, module: LightningModule) -> None:
        """Takes from the built module what belongs to the network: a tokenizer, a sequence length, a window of frames.

        Called once, before the Trainer is made and before `setup`.
        """

    def fingerprint(self) -> dict[str, Any]:
        """Plain values by which a change of the data is noticed when a run is resumed; cheap, asked after `setup`.

        Facts, the files that settings name, and the rows that loaders hold in memory are compared without it.
        """

    def trainer_defaults(self) -> dict[str, Any]:
        """Trainer keywords that follow from the data, such as `max_epochs` from a budget of steps; a recipe's win."""

    def tags(self) -> dict[str, str]:
        """Tags of the run that say something about its data, such as whether it is `real` or `generated`."""

    def progress(self) -> tuple[int, int, str]:
        """Progress of training: done, total and unit; batches are counted otherwise."""

    def write_buffers(self, folder: Path) -> list[str]:
        """Writes what is too big to rewrite in every checkpoint as new files; names all files that are needed now.

        Files are written with `lab.files.save` and never changed afterwards.
        """

    def read_buffers(self, folder: Path, files: list[str]) -> None:
        """Reads back what `write_buffers` named; called after `load_state_dict`."""


class ModuleHooks(Protocol):
    """Methods that `lab` calls where a LightningModule has them, besides Lightning's own."""

    def pretrain(self) -> None:
        """Takes weights that others have trained; called before those of `start_from` are copied, so that these win."""

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Refuses, by BadSetting, what `start_from` would copy although it has the right shapes, such as a vocabulary.

        The weights go by their names in the state dict; nothing has been copied.
        """

    def check_trainer(self, trainer: Trainer) -> None:
        """Refuses, by BadSetting, settings of the Trainer that the module cannot train with, such as a precision.

        Called once the Trainer is made; nothing has begun.
        """

    def compile(self) -> None:
        """Compiles the module for `compile: true`; without one of its own, `forward` is compiled."""

    def compile_pays(self, data: LightningDataModule) -> bool:
        """Whether a training on this data is long enough to earn back what compiling takes, for `compile: auto`.

        The answer depends on settings alone, so that the same recipe gives the same weights. Without this hook it is
        no.
        """

    def assets(self) -> dict[str, bytes]:
        """Files that belong to the network and are neither weights nor hyperparameters, such as a vocabulary, by name.

        They lie beside the logged model. What the module itself needs of them travels in the checkpoint as the
        `get_extra_state` of a submodule.
        """

    def play(self, video: Path, seed: int) -> float:
        """Writes one episode from a start seed as an MP4 and gives its return, for `lab play`."""

    def collect(self, name: str | None, episodes: int, noise: float, seed: int) -> tuple[str, dict[str, float]]:
        """Writes episodes of the policy as a data set, for `lab collect`; gives its name and some numbers about it.

        Without a name it chooses one; `noise` is added to the actions, and the start seeds are those from `seed` on.
        """

    def sample(self, prompt: str, max_tokens: int, temperature: float, top_k: int | None, seed: int) -> str:
        """A text that begins with a prompt and goes on as the model has learnt, for `lab sample`."""


_REMOVED = {  # methods that Lightning 2 neither calls nor refuses, and what it calls
    "on_epoch_start": "on_train_epoch_start",
    "on_epoch_end": "on_train_epoch_end",
    "on_batch_start": "on_train_batch_start",
    "on_batch_end": "on_train_batch_end",
    "on_pretrain_routine_start": "on_fit_start",
    "on_pretrain_routine_end": "on_fit_start",
    "on_train_dataloader": "setup",
    "training_step_end": "training_step",
    "validation_step_end": "validation_step",
    "test_step_end": "test_step",
}


def hooks(protocol: type) -> list[str]:
    """The names of the methods that a protocol lists, in its order.

    >>> hooks(ModuleHooks)
    ['pretrain', 'check_weights', 'check_trainer', 'compile', 'compile_pays', 'assets', 'play', 'collect', 'sample']
    """
    return [name for name, value in vars(protocol).items() if inspect.isfunction(value) and name[0] != "_"]


NAMES = frozenset([*hooks(DataHooks), *hooks(ModuleHooks)])


def hook(owner: object, name: str) -> Callable[..., Any] | None:
    """The hook of a module or a data module, or of its class; None where it has none of that name.

    It has to be a method of the class: a list, a submodule or a flag that happens to have the name is no hook.

    >>> class Data:
    ...     def facts(self):
    ...         return {"classes": 3}
    >>> hook(Data(), "facts")(), hook(Data, "tags")
    ({'classes': 3}, None)

    Raises:
        LookupError: no hook at all is called that.
    """
    if name not in NAMES:
        raise LookupError(f"no hook is called {name!r}")
    kind = owner if isinstance(owner, type) else type(owner)
    return getattr(owner, name) if callable(getattr(kind, name, None)) else None


def lookalikes(task: Task) -> Iterator[str]:
    """A sentence for each method of the task's own classes whose name is nearly that of a hook which they lack.

    >>> class Data:
    ...     def trainer_default(self):
    ...         return {"max_epochs": 3}
    >>> list(lookalikes(Task(object, Data, monitor=None, mode="min")))
    ["__main__.Data.trainer_default is never called by lab; the hook is called 'trainer_defaults'"]
    """
    for kind, protocol in ((task.module, ModuleHooks), (task.data, DataHooks)):
        known = hooks(protocol)
        for owner in kind.__mro__ if isinstance(kind, type) else ():
            if owner.__module__.partition(".")[0] in ("lightning", "torch", "builtins"):
                continue
            for name, value in vars(owner).items():
                if name.startswith("_"):
                    continue
                if protocol is ModuleHooks and name in _REMOVED and inspect.isfunction(value):
                    where = f"{owner.__module__}.{owner.__qualname__}.{name}"
                    yield f"{where} is never called by Lightning 2; write {_REMOVED[name]}"
                    continue
                close = closest(name, known, cutoff=0.8)
                if close and name not in known and inspect.isfunction(value) and not hasattr(kind, close):
                    where = f"{owner.__module__}.{owner.__qualname__}.{name}"
                    yield f"{where} is never called by lab; the hook is called {close!r}"
