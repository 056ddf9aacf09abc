"""The task of a recipe, and the objects of its run, built and checked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import BadInput, BadSetting, Problem
from lab.imports import load_callable, load_class, load_object
from lab.keywords import takes
from lab.recipe import InlineTask, Recipe
from lab.recipe.offers import handles_modules, products
from lab.registry import find_task
from lab.task import Task

if TYPE_CHECKING:
    from lightning import LightningDataModule, LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint

    from lab.engine.saver import Saver


@dataclass(frozen=True)
class Assembly:
    """Everything a run needs, built and checked.

    Args:
        recipe: where it came from.
        name: the task's name, or that of its module.
        task: the record.
        module: the built module.
        data: the built data module; a bare one if the module brings its own loaders.
        trainer: the built Trainer, with callbacks, without a logger.
        trainer_settings: the keywords the Trainer was built with, as plain values.
        best: writes the checkpoint with the best monitored metric.
        saver: writes the checkpoint that the run can be resumed from.
        compiled: whether the module runs through `torch.compile`.
    """

    recipe: Recipe
    name: str
    task: Task
    module: LightningModule
    data: LightningDataModule
    trainer: Trainer
    trainer_settings: dict[str, Any]
    best: ModelCheckpoint
    saver: Saver
    compiled: bool

    @property
    def datamodule(self) -> LightningDataModule | None:
        """The data module for the Trainer: with any at all it never asks the module for loaders."""
        from lightning import LightningDataModule

        return None if type(self.data) is LightningDataModule else self.data

    def problem(self, error: BadSetting) -> Problem:
        """The refusal of a set-up hook as a problem of the recipe; a hook names a keyword of its own class."""
        owners = {"data": self.task.data, "model": self.task.module}
        section = next((f"{name}." for name, owner in owners.items() if error.key in takes(owner)[0]), "")
        return self.recipe.problem(f"{section}{error.key}", error.message)


def task_of(recipe: Recipe, problems: list[Problem]) -> Task | None:
    """The recipe's task, named or written out."""
    if isinstance(recipe.task, InlineTask):
        if str(Path.cwd()) not in sys.path:  # a project that is not installed; last, so that it hides no package
            sys.path.append(str(Path.cwd()))
        from lightning import LightningDataModule, LightningModule

        classes: dict[str, Any] = {}
        for part, base in {"module": LightningModule, "data": LightningDataModule}.items():
            path = getattr(recipe.task, part)
            try:
                classes[part] = base if path is None else _class_or_factory(path, base)
            except BadInput as error:
                problems.append(recipe.problem(f"task.{part}", str(error)))
        if len(classes) < 2:
            return None
        source = classes["module" if recipe.task.data is None else "data"]
        if getattr(source, "train_dataloader", None) is LightningModule.train_dataloader:
            message = f"{source.__name__} has no train_dataloader; name a LightningDataModule that has one"
            problems.append(recipe.problem("task.data", message))
            return None
        if recipe.task.data is None and recipe.data:
            problems.append(recipe.problem("data", "`task.data` is missing, so there is no data module with settings"))
            return None
        return Task(**classes, monitor=recipe.task.monitor, mode=recipe.task.mode, score=recipe.task.score)
    if any(problem.key.split(".")[0] == "task" for problem in problems):
        return None
    try:
        return find_task(recipe.task)
    except BadInput as error:
        problems.append(recipe.problem("task", str(error)))
        return None


def _class_or_factory(path: str, base: type[Any]) -> Callable[..., Any]:
    """A subclass of `base`, or a function or class method whose return type is one; it is not called.

    Raises:
        BadInput: it is neither.
    """
    found = load_object(path)
    if isinstance(found, type) or not callable(getattr(found, "__func__", found)):
        return load_class(path, base)
    function = load_callable(path)
    made = products(function)
    if made and all(issubclass(each, base) for each in made):
        return function
    if handles_modules(function):
        raise BadInput(f"{path!r} is a function that loads, changes or runs modules; expected a {base.__name__}")
    says = f"returns {made[0].__qualname__}" if made else "does not say what it returns"
    raise BadInput(f"{path!r} is a function that {says}; expected a return type that is a {base.__name__}")
