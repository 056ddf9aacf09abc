"""The task of a recipe, and the objects of its run, built and checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import BadInput, BadSetting, LabError, Problem, RecipeError, one_line, raised_in
from lab.imports import load_callable, load_class, load_object
from lab.keywords import takes
from lab.recipe import ClassSpec, InlineTask, Recipe
from lab.recipe.objects import ConstructionError, construct, make
from lab.recipe.offers import handles_modules, products
from lab.recipe.signature import check
from lab.registry import find_task
from lab.stages import say
from lab.task import Task
from lab.tracking.global_functions.replace import NoRunYet

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


def build(
    recipe: Recipe,
    section: str,
    target: Callable[..., Any],
    values: Mapping[str, Any],
    facts: Mapping[str, Any] | None,
    problems: list[Problem],
) -> Any:
    """The object, or None and the reasons. With unknown facts (None) only what it refuses of its settings is heard."""
    before = len(problems)
    keywords = checked(recipe, section, target, values, facts or (), problems, {}, partial=facts is None)
    if len(problems) > before:
        return None
    try:
        made = make(target, {**construct(keywords), **(facts or {})})
        return None if facts is None else made
    except ConstructionError as error:
        problems.append(recipe.problem(f"{section}.{error.key}", refused(error.target, error.__cause__)))
    except BadSetting as error:
        key = "data" if error.key in (facts or ()) else error.key if "." in error.key else f"{section}.{error.key}"
        if facts is not None or error.key.partition(".")[0] in keywords:
            problems.append(recipe.problem(key, error.message))
    except LabError:
        raise
    except (Exception, SystemExit) as error:  # whatever a stranger's constructor raises
        if facts is None:  # it may lack what the data would have said
            return None
        mappings = [key for key, value in keywords.items() if isinstance(value, dict)]
        if isinstance(error, AttributeError) and "'dict' object" in str(error) and len(mappings) == 1:
            advice = (
                "a mapping arrives as a dict; for attributes write {class_path: types.SimpleNamespace, init_args: ...}"
            )
            problems.append(recipe.problem(f"{section}.{mappings[0]}", f"{refused(target, error)}; {advice}"))
        else:
            problems.append(recipe.problem(section, refused(target, error)))
    return None


def refused(target: Callable[..., Any], error: BaseException | None) -> str:
    """The error that a constructor raised, with its location."""
    name = getattr(target, "__name__", str(target))
    if isinstance(error, BadSetting):
        return f"{name} refuses {error}"
    assert error is not None
    place = raised_in(error, target)
    if isinstance(error, NoRunYet):
        return f"{name}: {error}{place and f' ({place})'}"
    return f"{name} refuses its settings: {one_line(error)}{place and f' ({place})'}"


def checked(
    recipe: Recipe,
    section: str,
    target: Callable[..., Any],
    values: Mapping[str, Any],
    given: Collection[str],
    problems: list[Problem],
    elsewhere: Mapping[str, str],
    partial: bool = False,
) -> dict[str, Any]:
    """The keywords that pass; the others become problems of the section."""
    own = {key: value for key, value in values.items() if key not in elsewhere}
    within = tuple(section.split("."))
    keywords, complaints = check(target, own, given=given, partial=partial, within=within, objects=True)
    complaints += [(key, f"cannot be set here: {elsewhere[key]}") for key in values if key in elsewhere]
    problems += [recipe.problem(f"{section}.{key}", message) for key, message in complaints]
    return keywords


def callbacks_of(recipe: Recipe, problems: list[Problem]) -> list[Any]:
    """The recipe's callbacks, in order."""
    from lightning import Callback

    from lab.engine.project.trainer_settings import LEAST_OF_CALLBACKS, too_small

    made = []
    for i, spec in enumerate(recipe.callbacks):
        callback = _by_class(recipe, f"callbacks.{i}", spec, Callback, {}, problems)
        if callback is not None:
            made.append(callback)
            least = LEAST_OF_CALLBACKS if type(callback).__module__.startswith("lightning.") else {}
            wrong = too_small(spec.init_args, least)
            problems += [recipe.problem(f"callbacks.{i}.init_args.{key}", message) for key, message in wrong]
    return made


def replace_optimizers(recipe: Recipe, task: Task, module: LightningModule, problems: list[Problem]) -> None:
    """Gives the module the optimizer and the schedule of the recipe, if it has them, as LightningCLI does.

    They are made now, to hear what they refuse, and again when the Trainer asks for them.
    """
    from lightning import LightningModule

    if recipe.optimizer is None:
        if recipe.lr_scheduler is not None:
            message = "needs an optimizer; set `optimizer: {class_path: torch.optim.Adam}`"
            problems.append(recipe.problem("lr_scheduler", message))
        return
    if type(module).configure_optimizers is not LightningModule.configure_optimizers:
        name = type(module).__name__
        if not module.automatic_optimization or not isinstance(recipe.task, InlineTask):
            problems.append(recipe.problem("optimizer", f"{name} has optimizers of its own; set them under `model`"))
            return
        say(f"`optimizer` replaces {name}.configure_optimizers")
    _optimizers(recipe, task, module, problems)
    module.configure_optimizers = partial(_configure_optimizers, recipe, task, module)  # type: ignore[assignment, method-assign]


def _configure_optimizers(recipe: Recipe, task: Task, module: LightningModule) -> dict[str, Any]:
    problems: list[Problem] = []
    made = _optimizers(recipe, task, module, problems)
    if problems:  # of parameters that did not exist before
        raise RecipeError(problems)
    return made


def _optimizers(recipe: Recipe, task: Task, module: LightningModule, problems: list[Problem]) -> dict[str, Any]:
    """The optimizer and the schedule, as `configure_optimizers` returns them."""
    from torch import nn, zeros
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

    assert recipe.optimizer is not None
    params = list(module.parameters()) or [nn.Parameter(zeros(1))]  # it may make them when the training begins
    optimizer = _by_class(recipe, "optimizer", recipe.optimizer, Optimizer, {"params": params}, problems)
    if optimizer is None or recipe.lr_scheduler is None:
        return {"optimizer": optimizer}
    given = {"optimizer": optimizer}
    scheduler = _by_class(recipe, "lr_scheduler", recipe.lr_scheduler, LRScheduler, given, problems)
    if not isinstance(scheduler, ReduceLROnPlateau):
        return {"optimizer": optimizer, "lr_scheduler": scheduler}
    monitor = getattr(scheduler, "monitor", task.monitor)  # that of lightning.pytorch.cli has one
    if monitor is None:
        problems.append(recipe.problem("lr_scheduler", "ReduceLROnPlateau needs a metric; set task.monitor"))
    elif monitor == task.monitor and scheduler.mode != task.mode:
        message = f"expected {task.mode!r}, the mode of {monitor!r}, found {scheduler.mode!r}"
        problems.append(recipe.problem("lr_scheduler.init_args.mode", message))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": monitor}}


def _by_class(
    recipe: Recipe, section: str, spec: ClassSpec, base: type[Any], given: dict[str, Any], problems: list[Problem]
) -> Any:
    """The object of a class that a section names, or None and the reasons."""
    try:
        target = load_class(spec.class_path, base)
    except BadInput as error:
        problems.append(recipe.problem(f"{section}.class_path", str(error)))
        return None
    return build(recipe, f"{section}.init_args", target, spec.init_args, given, problems)
