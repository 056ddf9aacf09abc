"""Checks of a study beyond the types of its keys: settings, space, sampler, pruner, published values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lab.errors import Problem, RecipeError, nearest, suggestion
from lab.recipe import Recipe, override
from lab.recipe import load as load_recipe
from lab.study.plan import sampling
from lab.study.plan.schema import StudyFile
from lab.study.plan.space import Dimension
from lab.task import hook

if TYPE_CHECKING:
    from lab.runner.assembly import Assembly

FURTHER = ("compile", "callbacks", "start_from", "checkpoint")  # keys that may vary besides the arguments of classes


def own(file: StudyFile) -> Iterator[Problem]:
    """Settings that a study cannot set for its trials."""
    elsewhere = {"seed": "give `seeds:`", "track": "the recipe says where its runs go, `lab tune --uri` where else"}
    for key in file.set:
        if (section := key.partition(".")[0]) in elsewhere:
            yield file.problem(f"set.{key}", f"cannot be set here: {elsewhere[section]}")


def refused(
    file: StudyFile, recipe: Recipe, assembly: Assembly, dimensions: tuple[Dimension, ...], uri: str | None
) -> Iterator[Problem]:
    """Values of the space that the recipe's task would refuse, or initial weights that it could not load."""
    from lightning import Trainer

    from lab.recipe.signature import check

    facts: dict[str, Any] = (hook(assembly.data, "facts") or dict)()
    targets: dict[str, Any] = {"model": type(assembly.module), "data": type(assembly.data), "trainer": Trainer}
    seen: set[tuple[str, str]] = set()
    wrong_ranges: set[str] = set()
    for dimension in dimensions:
        for place, key, value in dimension.probes():
            if place.endswith((".int", ".float")) and place in wrong_ranges:
                continue  # one value of a range says it
            found = load_recipe(recipe.path, [*recipe.overrides, *overrides({key: value})])
            section = key.partition(".")[0]
            complaints = [(problem.key, problem.message) for problem in found.problems]
            if key in ("seed", "threads", "track") or section not in (*targets, *FURTHER):
                known = suggestion(section, targets, "expected a key of")
                complaints = [(key, f"cannot be part of the space{known}")]
            elif section in targets:
                given = facts if section == "model" else ()
                values = getattr(found, section)
                wrong = check(targets[section], values, given=given, partial=True, within=(section,), objects=True)[1]
                complaints += [(f"{section}.{name}", message) for name, message in wrong]
            elif section == "start_from" and not complaints:
                complaints += _unusable(replace(assembly, recipe=found), uri)
            for name, message in complaints:
                if ".float" in place and "whole number" in message:
                    message += f"; write {{int: ...}} for {key}"
                wrong_ranges.add(place.removesuffix(".0").removesuffix(".1"))
                if (name, message) not in seen:
                    seen.add((name, message))
                    yield file.problem(f"space.{place}", message if name == key else f"{name}: {message}")


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
    targets: dict[str, Any] = {
        "sampler": sampling.sampler_class(file.sampler),
        "pruner": sampling.pruner_class(file.pruner),
    }
    for section, target in targets.items():
        for key, message in check(target, getattr(file, f"{section}_args"), partial=True)[1]:
            yield file.problem(f"{section}_args.{key}", message)
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
