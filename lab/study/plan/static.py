"""A study as far as it can be judged without importing anything that it or its recipe names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.errors import Problem, RecipeError
from lab.recipe import Recipe
from lab.recipe import load as load_recipe
from lab.recipe.levels import at_their_level
from lab.recipe.static import unknown_keys, without_import
from lab.registry import task_entry, task_names
from lab.study.plan import checks
from lab.study.plan.plan import base_recipe
from lab.study.plan.schema import StudyFile
from lab.study.plan.space import Dimension, parse


def problems_without_import(file: StudyFile) -> list[Problem]:
    """All that is wrong with a study, its space and its recipe, as far as their text says it."""
    dimensions, complaints = parse(file.space)
    problems = [*file.problems, *(file.problem(f"space.{key}", message) for key, message in complaints)]
    problems += checks.own(file, dimensions)
    recipe = base_recipe(file, (), problems)
    if recipe is None:
        return problems
    problems += checks.relocated(file, "set", file.set, recipe_problems(recipe))
    return [*problems, *_of_space(file, recipe, dimensions)]


def recipe_problems(recipe: Recipe) -> list[Problem]:
    """All that is wrong with a recipe, likewise."""
    entry = task_entry(recipe.task)
    return list(at_their_level(without_import(recipe, entry, task_names()), recipe, entry))


def side_problems(path: Path, overrides: Sequence[str]) -> list[Problem]:
    """All that is wrong with a recipe and its overrides, also if they cannot be read."""
    try:
        return recipe_problems(load_recipe(path, overrides))
    except RecipeError as error:
        return list(error.problems)


def _of_space(file: StudyFile, recipe: Recipe, dimensions: tuple[Dimension, ...]) -> Iterator[Problem]:
    """Keys of the space that no recipe, or no constructor, has."""
    entry = task_entry(recipe.task)
    seen: set[str] = set()
    for place, key, value in (probe for dimension in dimensions for probe in dimension.probes()):
        if key in seen:
            continue
        found = load_recipe(recipe.path, [*recipe.overrides, *checks.overrides({key: value})])
        why = checks.misplaced(key)
        complaints = [(key, why)] if why else [(problem.key, problem.message) for problem in found.problems]
        if not complaints:
            complaints = [each for each in unknown_keys(found, entry) if f"{key}.".startswith(f"{each[0]}.")]
        for name, message in complaints:
            seen.add(key)
            yield file.problem(f"space.{place}", message if name == key else f"{name}: {message}")
