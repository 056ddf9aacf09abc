"""The places of a recipe or a study that name a class, each with the kind that it expects."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gymnasium import Env, Wrapper
from lightning import Callback, LightningDataModule, LightningModule
from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.plugins import LayerSync
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lab.errors import BadSetting, Problem
from lab.recipe import ClassSpec, Recipe, load
from lab.recipe.objects import Construction
from lab.recipe.offers import products
from lab.recipe.signature import check
from lab.rl.envs import wrappers
from lab.rl.envs.entry_point import find_creator, find_spec
from lab.rl.multi_agent.rendezvous import Rendezvous
from lab.runner.assemble import assemble
from lab.runner.assembly import callbacks_of, replace_optimizers, task_of
from lab.study.plan.checks import refused
from lab.study.plan.schema import load_study
from lab.study.plan.space import parse

RECIPE = """\
task: {module: 'tests.fuzz.places:Model', data: 'lightning.pytorch.demos.boring_classes:BoringDataModule'}
trainer: {max_epochs: 1, accelerator: cpu}
optimizer: {class_path: torch.optim.Adam}
"""
KINDS: dict[str, tuple[type, ...]] = {
    "task.module": (LightningModule,),
    "task.data": (LightningDataModule,),
    "callbacks": (Callback,),
    "optimizer": (Optimizer,),
    "lr_scheduler": (LRScheduler,),
    "env": (Env, Rendezvous),  # the one environment of several agents, which has no class of Gymnasium's
    "wrappers.0": (Wrapper,),
    "wrappers.0.class_path": (Wrapper,),
    "trainer.profiler": (Profiler,),
    "trainer.strategy": (Strategy,),
    "trainer.accelerator": (Accelerator,),
    "trainer.plugins": (Precision, ClusterEnvironment, CheckpointIO, LayerSync),
}
MAKERS = ("task", "trainer")  # functions with a return type serve there too


class Model(BoringModel):
    """Without optimizers of its own."""

    configure_optimizers = LightningModule.configure_optimizers


class Places:
    """Asks the code behind every place what it takes.

    Args:
        folder: for a recipe and a study.
    """

    def __init__(self, folder: Path) -> None:
        logging.getLogger("lightning").setLevel(logging.ERROR)
        recipe, study = folder / "recipe.yaml", folder / "study.yaml"
        recipe.write_text(RECIPE)
        study.write_text("recipe: recipe.yaml\n")
        self.assembly, self.study = assemble(load(recipe)), load_study(study)

    def wrongly_taken(self, names: dict[str, Any]) -> Iterator[str]:
        """The names that a place takes though they are of another kind."""
        for name, value in names.items():
            for place, problems in self._problems(name).items():
                if not any(place in problem.key for problem in problems) and not _fits(place, value):
                    yield f"{place}: {name}"
        for place, name in self._taken_by_a_study(list(names)):
            if not _fits(place, names[name]):
                yield f"space.{place}: {name}"

    def _problems(self, name: str) -> dict[str, list[Problem]]:
        recipe, spec = self.assembly.recipe, ClassSpec(name)
        task, module = self.assembly.task, self.assembly.module
        inline: Any = recipe.task
        return {
            "task.module": _said(task_of, replace(recipe, task=replace(inline, module=name))),
            "task.data": _said(task_of, replace(recipe, task=replace(inline, data=name))),
            "callbacks": _said(callbacks_of, replace(recipe, callbacks=(spec,))),
            "optimizer": _said(replace_optimizers, replace(recipe, optimizer=spec), task, module),
            "lr_scheduler": _said(replace_optimizers, replace(recipe, lr_scheduler=spec), task, module),
            "env": _setting(lambda: find_creator(name, find_spec(name))),
            "wrappers.0": _setting(lambda: wrappers.find([name])),
            "wrappers.0.class_path": _setting(lambda: wrappers.find([{"class_path": name}])),
            **self._of_the_trainer(name),
        }

    def _of_the_trainer(self, name: str) -> dict[str, list[Problem]]:
        parts = [place.partition(".")[2] for place in KINDS if place.startswith("trainer.")]
        values = {part: [{"class_path": name}] if part == "plugins" else {"class_path": name} for part in parts}
        made, complaints = check(type(self.assembly.trainer), values, partial=True, objects=True)
        whole = {part: value[0] if isinstance(value, list) else value for part, value in made.items()}
        assert all(isinstance(value, Construction) for value in whole.values())
        return {f"trainer.{part}": [Problem("", f"trainer.{key}", text) for key, text in complaints] for part in parts}

    def _taken_by_a_study(self, names: list[str]) -> Iterator[tuple[str, str]]:
        specs = [{"class_path": name} for name in names]
        space = {"callbacks": [[spec] for spec in specs], "optimizer": specs, "lr_scheduler": specs}
        study = replace(self.study, space=space)
        dimensions, complaints = parse(space)
        assert not complaints
        problems = refused(study, self.assembly.recipe, self.assembly, dimensions, None)
        wrong = {problem.key for problem in problems}
        for place in space:
            yield from ((place, name) for i, name in enumerate(names) if f"space.{place}.{i}" not in wrong)


def _said(ask: Callable[..., Any], recipe: Recipe, *more: Any) -> list[Problem]:
    problems: list[Problem] = []
    ask(recipe, *more, problems)
    return problems


def _setting(ask: Callable[[], Any]) -> list[Problem]:
    try:
        ask()
    except BadSetting as error:
        return [Problem("", error.key, error.message)]
    return []


def _fits(place: str, value: Any) -> bool:
    """Whether a place may have something called."""
    made = [value] if isinstance(value, type) else products(value) if place.startswith(MAKERS) else []
    return bool(made) and all(issubclass(kind, KINDS[place]) for kind in made)
