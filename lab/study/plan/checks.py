"""Checks of a study beyond the types of its keys: settings, space, sampler, pruner, published values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lab.errors import BadSetting, Problem, RecipeError, error_text, nearest, suggestion
from lab.recipe import Recipe, override
from lab.recipe import load as load_recipe
from lab.recipe.schema import Document, printable
from lab.study.plan import sampling
from lab.study.plan.schema import StudyFile
from lab.study.plan.space import Choice, Dimension, ranges
from lab.task import hook

if TYPE_CHECKING:
    from lab.runner.assembly import Assembly

SECTIONS = ("model", "data", "trainer")  # keys that may vary: the arguments of classes
SAMPLING = {"sampler", "sampler_args", "space", "trials", "pruner", "pruner_args", "published", "metric"}
NAMED = ("callbacks", "optimizer", "lr_scheduler")  # and those of classes that the recipe names
FURTHER = ("compile", "start_from", "checkpoint")  # and these


def said_elsewhere(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Settings that a study or a claim cannot set for its trainings, as (key, message)."""
    elsewhere = {"seed": "give `seeds:`", "track": "the recipe says where its runs go, `--uri` where else"}
    for key in settings:
        if (section := key.partition(".")[0]) in elsewhere:
            yield key, f"cannot be set here: {elsewhere[section]}"


def own(file: StudyFile, dimensions: tuple[Dimension, ...]) -> Iterator[Problem]:
    """Contradictions within a study, whatever its recipe says."""
    for key, message in said_elsewhere(file.set):
        yield file.problem(f"set.{key}", message)
    if {problem.key.partition(".")[0] for problem in file.problems} & SAMPLING:
        return  # defaults stand for what is wrong
    if file.sampler in sampling.ENUMERATED and file.trials is not None:
        yield file.problem("trials", f"{file.sampler} has a fixed number of trials; leave it out")
    if file.sampler == "none":
        if file.space:
            yield file.problem("space", "sampler none trains the recipe as it is")
    elif not file.space:
        yield file.problem("space", "empty; list the keys to vary, such as {model.lr: [0.001, 0.01]}")
    elif file.sampler == "one_at_a_time":
        for dimension in dimensions:
            if not isinstance(dimension, Choice) or any(dimension.inner):
                yield file.problem(f"space.{dimension.key}", "one_at_a_time takes a list of values")
    elif file.sampler == "grid":
        for key in ranges(dimensions):
            yield file.problem(f"space.{key}", "a grid takes lists; random and tpe take ranges")
    elif file.trials is None:
        yield file.problem("trials", f"missing; {file.sampler} needs the number of trials, such as `trials: 50`")
    yield from names(file)
    yield from published(file)


def relocated(
    file: Document, section: str, settings: Mapping[str, Any], problems: Iterable[Problem]
) -> Iterator[Problem]:
    """Problems of a recipe with these settings as overrides: those of a setting at its place in the file.

    Args:
        file: the study or claim.
        section: its key that holds the settings.
        settings: by dotted key.
        problems: of the recipe.
    """
    own = {printable(f"override {text}"): key for key, text in by_key(settings)}
    for problem in problems:
        key = own.get(problem.where)
        if key is not None:
            message = problem.message if problem.key == key else f"{problem.key}: {problem.message}"
            problem = file.problem(f"{section}.{key}", message)
        yield problem


def misplaced(key: str) -> str | None:
    """The reason for which a key of a recipe cannot be part of a space; None if it can."""
    section = key.partition(".")[0]
    if key in ("seed", "threads", "track") or section not in (*SECTIONS, *NAMED, *FURTHER):
        return f"cannot be part of the space{suggestion(section, SECTIONS, 'expected a key of')}"
    return None


def refused(
    file: StudyFile, recipe: Recipe, assembly: Assembly, dimensions: tuple[Dimension, ...], uri: str | None
) -> Iterator[Problem]:
    """Values of the space that the recipe's task would refuse, or initial weights that it could not load."""
    from lightning import Trainer

    from lab.engine.project.trainer_settings import refused_settings
    from lab.recipe.signature import check

    facts: dict[str, Any] = (hook(assembly.data, "facts") or dict)()
    targets: dict[str, Any] = {"model": type(assembly.module), "data": type(assembly.data), "trainer": Trainer}
    seen: set[tuple[str, str]] = set()
    wrong_ranges: set[str] = set()
    alone = sum(each.key.startswith("data.") for each in dimensions) == 1
    for dimension in dimensions:
        for place, key, value in dimension.probes():
            if place.endswith((".int", ".float")) and place in wrong_ranges:
                continue  # one value of a range says it
            found = load_recipe(recipe.path, [*recipe.overrides, *overrides({key: value})])
            section = key.partition(".")[0]
            complaints = [(problem.key, problem.message) for problem in found.problems]
            if (why := misplaced(key)) is not None:
                complaints = [(key, why)]
            elif section in targets:
                given = facts if section == "model" else ()
                values = getattr(found, section)
                wrong = check(targets[section], values, given=given, partial=True, within=(section,), objects=True)[1]
                wrong += refused_settings(values) if section == "trainer" else []
                complaints += [(f"{section}.{name}", message) for name, message in wrong]
                is_choice = isinstance(value, str | list) and place.count(".") == key.count(".") + 1
                if section == "data" and alone and is_choice and not complaints:
                    complaints = _of_data(found, assembly)
            elif section in NAMED and not complaints:
                complaints += _of_named(found, assembly)
            elif section == "start_from" and not complaints:
                complaints += _unusable(replace(assembly, recipe=found), uri)
            for name, message in complaints:
                if ".float" in place and "whole number" in message:
                    message += f"; write {{int: ...}} for {key}"
                wrong_ranges.add(place.removesuffix(".0").removesuffix(".1"))
                if (name, message) not in seen:
                    seen.add((name, message))
                    yield file.problem(f"space.{place}", message if name == key else f"{name}: {message}")


def _of_named(recipe: Recipe, assembly: Assembly) -> list[tuple[str, str]]:
    """Problems of the callbacks, the optimizer and the schedule that a recipe names, for the module of another one."""
    from lab.runner.assembly import callbacks_of, replace_optimizers

    problems: list[Problem] = []
    callbacks_of(recipe, problems)
    replace_optimizers(recipe, assembly.task, assembly.module, problems)
    return [(problem.key, problem.message) for problem in problems]


def _of_data(recipe: Recipe, assembly: Assembly) -> list[tuple[str, str]]:
    """Problems of a recipe's data: an environment, a data set or a file that is not there, or that is another kind."""
    from lab.runner.assembly import build

    problems: list[Problem] = []
    data = build(recipe, "data", assembly.task.data, recipe.data, {}, problems)
    try:
        if data is not None and (facts := hook(data, "facts")) is not None:
            facts()
    except BadSetting as error:
        problems.append(recipe.problem(f"data.{error.key}", error.message))
    return [(problem.key, problem.message) for problem in problems]


def _unusable(assembly: Assembly, uri: str | None) -> list[tuple[str, str]]:
    """Problems of the weights that `start_from` names."""
    from lab.runner.weights import chosen

    try:
        chosen(assembly, uri)
    except RecipeError as error:
        return [(problem.key, problem.message) for problem in error.problems]
    return []


def names(file: StudyFile) -> Iterator[Problem]:
    """Problems of the sampler and the pruner."""
    from lab.recipe.signature import check

    several = isinstance(file.metric, tuple) and len(file.metric) > 1
    targets: dict[str, tuple[Any, Any]] = {
        "sampler": (sampling.sampler_class(file.sampler), sampling.sampler),
        "pruner": (sampling.pruner_class(file.pruner), sampling.pruner),
    }
    for section, (target, make) in targets.items():
        complaints = check(target, getattr(file, f"{section}_args"), partial=True)[1]
        for key, message in complaints:
            yield file.problem(f"{section}_args.{key}", message)
        if not complaints:
            try:
                make(file, 1)
            except Exception as error:  # whatever Optuna says of values that do not go together
                yield file.problem(f"{section}_args", f"{getattr(file, section)} refuses them: {error_text(error)}")
    if several and file.pruner != "none":
        yield file.problem("pruner", "pruning works with one metric only; use none")
    if several and file.sampler == "cmaes":
        yield file.problem("sampler", "cmaes optimises one metric; nsga2 and tpe can optimise several")
    if file.pruner == "wilcoxon" and len(file.seeds or ()) < 3:
        yield file.problem("pruner", "wilcoxon compares trials seed by seed; give at least 3 seeds")


def curveless(file: StudyFile, assembly: Assembly) -> Iterator[Problem]:
    """A pruner that needs several validations of a training, where there are too few."""
    trainer: Any = assembly.trainer
    if file.pruner in sampling.CURVES and assembly.task.monitor is None:
        yield file.problem("pruner", f"{file.pruner} follows the task's monitor, and {assembly.name} has none")
        return
    once = trainer.max_epochs == 1 and trainer.val_check_interval in (None, 1.0)
    if file.pruner in sampling.CURVES and (once or trainer.limit_val_batches == 0):
        count = "none" if trainer.limit_val_batches == 0 else "one, at its end"
        way_out = "validate more often, or prune seed by seed with wilcoxon"
        yield file.problem(
            "pruner", f"{file.pruner} compares validations during a training, and there is {count}; {way_out}"
        )


def published(file: StudyFile) -> Iterator[Problem]:
    """Problems of `published`: unknown keys, or lists of the wrong length."""
    for key, figures in file.published.items():
        values = file.space.get(key)
        if not isinstance(values, list):
            yield file.problem(
                f"published.{key}", f"not a key of the space with a list of values{nearest(key, file.space)}"
            )
        elif len(values) != len(figures):
            yield file.problem(f"published.{key}", f"{len(figures)} published values for {len(values)} in the space")


def overrides(settings: Mapping[str, Any]) -> list[str]:
    """The settings as overrides of a recipe."""
    return [override(key, value) for key, value in settings.items()]


def by_key(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same, each with its key."""
    return [(key, override(key, value)) for key, value in settings.items()]
