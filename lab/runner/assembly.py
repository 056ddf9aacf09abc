"""The objects of one run, built and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.errors import BadSetting, Problem
from lab.keywords import takes
from lab.recipe import Recipe
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

    @property
    def datamodule(self) -> LightningDataModule | None:
        """What the Trainer is given: with any data module at all it never asks the module for loaders."""
        from lightning import LightningDataModule

        return None if type(self.data) is LightningDataModule else self.data

    def problem(self, error: BadSetting) -> Problem:
        """What a set-up hook refuses, with its place in the recipe; a hook names a keyword of its own class."""
        owners = {"data": self.task.data, "model": self.task.module}
        section = next((f"{name}." for name, owner in owners.items() if error.key in takes(owner)[0]), "")
        return self.recipe.problem(f"{section}{error.key}", error.message)
