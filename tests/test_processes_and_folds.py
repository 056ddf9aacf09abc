"""Every task that learns from a table of examples does so in two processes, and on any of several folds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lab.data import TableDataModule
from lab.keywords import keywords
from lab.recipe import Recipe
from lab.registry import find_task, task_names
from lab.runner import training
from lab.runner.assemble import assemble
from lab.testing.memory import MemoryLogger
from tests.parameters import long_but
from tests.recipes import short_recipe

pytestmark = pytest.mark.slow
FEW = {"classify_tabular"}  # all others are trained if long tests are asked for
TASKS = [name for name in task_names() if issubclass(find_task(name).data, TableDataModule)]
FOLDED = [name for name in TASKS if "folds" in keywords(find_task(name).data)[0]]


def monitored(recipe: Recipe, folder: Path) -> float:
    """The monitored metric at the end of a training."""
    assembly = assemble(recipe)
    return training.train(assembly, MemoryLogger(), folder).metrics[assembly.task.monitor]


@pytest.mark.parametrize("name", long_but(FEW, TASKS))
def test_every_task_trains_in_two_processes(name: str, tmp_path: Path) -> None:
    """Parameters that rest in some phase of a training are among what both wait for."""
    two = short_recipe(name, "trainer.devices=2", "trainer.strategy=ddp_fork", batches=4)
    assert math.isfinite(monitored(two, tmp_path))


@pytest.mark.parametrize("name", long_but(FEW, FOLDED))
def test_every_task_validates_on_another_fold(name: str, tmp_path: Path) -> None:
    assert math.isfinite(monitored(short_recipe(name, "data.folds=3", "data.fold=2"), tmp_path))
