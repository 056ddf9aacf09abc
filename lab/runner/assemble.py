"""From a recipe to the objects of a run: data, module, callbacks and Trainer, with every problem reported at once.

Lightning and the task are imported only when the recipe names a task that exists: a misspelt word answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lab.errors import BadSetting, Problem, RecipeError, error_text
from lab.imports import take_twins
from lab.keywords import takes
from lab.recipe import InlineTask, Recipe
from lab.recipe.levels import at_their_level
from lab.recipe.objects import ConstructionError, construct
from lab.recipe.static import mistyped
from lab.registry import task_entry
from lab.runner.assembly import Assembly, build, callbacks_of, checked, refused, replace_optimizers, task_of
from lab.sentences import note
from lab.stages import stage
from lab.startup import importing
from lab.task import Task, hook
from lab.tracking.global_functions.phases import constructing

if TYPE_CHECKING:
    from lightning import LightningDataModule, LightningModule


# Trainer keywords that a recipe says elsewhere, and where.
ELSEWHERE = {
    "logger": "runs are tracked in MLflow; see `track:`",
    "callbacks": "list them in the section `callbacks:`",
    "default_root_dir": "files of a run lie with its artifacts; see `track:`",
    "barebones": "it would switch off tracking and checkpoints",
}
QUIET = {"enable_progress_bar": False, "enable_model_summary": False}  # `lab` draws its own progress
STOPS = ("max_epochs", "max_steps", "max_time")


def assemble(recipe: Recipe, tracked: bool = False) -> Assembly:
    """Builds a run; also sets this process's seeds and threads, which the weights depend on.

    Args:
        recipe: what to build.
        tracked: whether it will be recorded: what that needs is imported with all the rest.

    Raises:
        RecipeError: with all that is wrong, if anything is.
    """
    try:
        with constructing():
            return _assemble(recipe, tracked)
    except RecipeError as error:
        raise RecipeError(at_their_level(error.problems, recipe, task_entry(recipe.task))) from None


def _assemble(recipe: Recipe, tracked: bool) -> Assembly:
    if early := mistyped(recipe, task_entry(recipe.task)):
        raise RecipeError(early)  # before anything is imported
    take_twins()  # before MLflow imports the older name, which a next recipe of this process may be written for
    problems = list(recipe.problems)
    if "lightning" not in sys.modules:
        stage("importing torch, Lightning and the task")
    with importing():
        task = task_of(recipe, problems)
        if task is None:
            raise RecipeError(problems)
        from lightning import Trainer, seed_everything
        from lightning.fabric.utilities.exceptions import MisconfigurationException

        from lab.engine.checkpoint import Files
        from lab.engine.nan_guard import TerminateOnNaN
        from lab.engine.process import prepare, skip_driver_check
        from lab.engine.profiler import NoProfiler
        from lab.engine.progress import BestCheckpoint, progress
        from lab.engine.project.demands import refusals
        from lab.engine.project.final_validation import FinalValidation
        from lab.engine.project.monitors import MonitorCheck
        from lab.engine.project.run_folder import RunFolder, brings_progress_bar, distinguish
        from lab.engine.project.trainer_settings import blamed, refused_settings
        from lab.engine.saver import Saver
        from lab.engine.signals import SignalHandler
        from lab.runner.failures import FailureContext
        from lab.tracking.mirror.mirrors import missing

        if tracked:
            import_module("lab.tracking.logger")

    prepare(recipe.threads)
    seed_everything(recipe.seed, workers=True, verbose=False)
    found = len(problems)
    data = build(recipe, "data", task.data, recipe.data, {}, problems)
    facts = {} if data is None and hook(task.data, "facts") is None else _facts(recipe, task, data, problems)
    module = build(recipe, "model", task.module, recipe.model, facts, problems)
    if data is not None and module is not None:
        _connect(recipe, data, module, problems)
    if module is not None:
        replace_optimizers(recipe, task, module, problems)
    offered: dict[str, Any] = (hook(data, "trainer_defaults") or dict)()
    settings = checked(recipe, "trainer", Trainer, recipe.trainer, (), problems, ELSEWHERE)
    settings = offered | settings
    problems += [recipe.problem(f"trainer.{key}", message) for key, message in refused_settings(settings)]
    if recipe.measures_precision:
        problems += [recipe.problem("trainer.precision", each) for each in _unmeasurable(module, offered)]
    callbacks = callbacks_of(recipe, problems)
    if len(problems) == found and not any(settings.get(stop) not in (None, -1) for stop in STOPS):
        problems.append(recipe.problem("trainer", f"the training has no limit; set one of {', '.join(STOPS)}"))
    trainer = None
    try:
        if not problems:
            inline = isinstance(recipe.task, InlineTask)
            monitors = {f"callbacks.{i}.init_args.monitor": callback for i, callback in enumerate(callbacks)}
            monitor = task.monitor
            if monitor is not None and settings.get("limit_val_batches") == 0:
                monitor = None
                note("no validation (trainer.limit_val_batches: 0): the last checkpoint is the best")
            schedule = None if recipe.lr_scheduler is None else "lr_scheduler"
            check = MonitorCheck(monitor, "task.monitor" if inline else "task", monitors, schedule)
            best = BestCheckpoint(monitor, task.mode, check.at_epoch_end)
            saver = Saver(recipe.seed, recipe.checkpoint.seconds, recipe.checkpoint.steps, SignalHandler())
            if brings_progress_bar(callbacks):
                settings = {"enable_progress_bar": True} | settings
            distinguish(callbacks)
            own = [TerminateOnNaN(saver), FailureContext(), FinalValidation(), best, saver]
            callbacks = [RunFolder(), *progress(settings, monitor), check, *callbacks, *own]
            made = construct(settings)
            chosen = QUIET | {"profiler": NoProfiler()} | made | {"plugins": [*_plugins(made), Files(module)]}
            trainer = Trainer(**chosen, callbacks=callbacks, logger=False)
            keys = {part: f"task.{part}" if inline else "task" for part in ("module", "data")}
            problems += [recipe.problem(*each) for each in refusals(trainer, module, data, keys, [*check.named()])]
        elif not any(problem.key.partition(".")[0] == "trainer" for problem in problems):
            Trainer(**QUIET | construct(settings), logger=False)  # it may refuse something, too
    except ConstructionError as error:
        problems.append(recipe.problem(f"trainer.{error.key}", refused(error.target, error.__cause__)))
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        problems.append(recipe.problem(blamed(recipe.trainer, error_text(error)), error_text(error)))
    except ImportError as error:  # of a package that not everybody has
        precise = str(settings.get("precision")).startswith("transformer-engine")
        key, way = ("trainer.precision", "; or set it to bf16-mixed") if precise else ("trainer", "")
        problems.append(recipe.problem(key, f"{error_text(error)}{way}"))
    for i, kind in enumerate(recipe.track.mirror):
        if what := missing(kind):
            problems.append(recipe.problem(f"track.mirror.{i}", what))
    if problems:
        raise RecipeError(problems)
    assert module is not None
    assert data is not None
    assert trainer is not None
    if trainer.strategy.root_device.type == "cpu":
        skip_driver_check()
    if str(trainer.precision).endswith("-true"):  # at once, so that weights are copied and read back into it
        trainer.precision_plugin.convert_module(module)
    pays = hook(module, "compile_pays")
    compiled = recipe.compile is True or (
        recipe.compile == "auto" and pays is not None and trainer.world_size == 1 and pays(data)
    )
    if compiled:
        module.compile()
    name = recipe.task if isinstance(recipe.task, str) else task.module.__name__
    return Assembly(recipe, name, task, module, data, trainer, settings | recipe.trainer, best, saver, compiled)


def _facts(
    recipe: Recipe, task: Task, data: LightningDataModule | None, problems: list[Problem]
) -> dict[str, Any] | None:
    """The facts of the data, as far as the module asks for it; None if the data refuses its settings."""
    if data is None:
        return None
    ask = hook(data, "facts") or dict
    try:
        facts: dict[str, Any] = ask()
    except BadSetting as error:
        problems.append(recipe.problem(f"data.{error.key}", error.message))
        return None
    wanted, extra = takes(task.module)
    return {name: value for name, value in facts.items() if extra or name in wanted}


def _connect(recipe: Recipe, data: LightningDataModule, module: LightningModule, problems: list[Problem]) -> None:
    """Shows the module to the data, which takes from it what belongs to the network."""
    if (connect := hook(data, "connect")) is None:
        return
    try:
        connect(module)
    except BadSetting as error:
        problems.append(recipe.problem(error.key if "." in error.key else f"data.{error.key}", error.message))


def _unmeasurable(module: LightningModule | None, offered: Mapping[str, Any]) -> Iterator[str]:
    """Why `auto` cannot choose the precision."""
    if "precision" in offered:
        yield f"auto has no choice: this task trains in {offered['precision']}; leave it out"
    elif module is not None and module.example_input_array is None:
        yield "auto measures the network on its example_input_array, which the module has not; set it to 32-true"


def _plugins(settings: Mapping[str, Any]) -> list[Any]:
    """The recipe's own plugins of the Trainer."""
    given = settings.get("plugins") or []
    return list(given) if isinstance(given, list) else [given]
