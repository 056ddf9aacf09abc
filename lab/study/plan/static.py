"""A study as far as it can be judged without importing anything that it or its recipe names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.errors import BadInput, Problem, RecipeError
from lab.recipe import Recipe
from lab.recipe import load as load_recipe
from lab.recipe.levels import at_their_level, did_you_mean, levels, meant
from lab.recipe.static import unknown_keys, without_import
from lab.registry import find_recipe, task_entry, task_names
from lab.study.plan import checks
from lab.study.plan.schema import StudyFile
from lab.study.plan.space import Dimension, parse


def problems_without_import(file: StudyFile) -> list[Problem]:
    """All that is wrong with a study, its space and its recipe, as far as their text says it."""
    dimensions, problems, recipe = read_without_import(file)
    return problems if recipe is None else problems + of_recipe(file, recipe, dimensions)


def read_without_import(
    file: StudyFile, settings: Sequence[str] = ()
) -> tuple[tuple[Dimension, ...], list[Problem], Recipe | None]:
    """The space, all that is wrong with the study, and its recipe; None if that cannot be read.

    Args:
        file: the study.
        settings: overrides of the recipe, which win over the study's `set`.
    """
    dimensions, complaints = parse(file.space)
    problems = [*file.problems, *(file.problem(f"space.{key}", message) for key, message in complaints)]
    problems += checks.own(file, dimensions)
    return dimensions, problems, _base_recipe(file, settings, problems)


def of_recipe(file: StudyFile, recipe: Recipe, dimensions: tuple[Dimension, ...]) -> list[Problem]:
    """All that is wrong with the recipe of a study, and with the keys that vary."""
    found = checks.relocated(file, "set", file.set, recipe_problems(recipe))
    return [*found, *_of_space(file, recipe, dimensions)]


def all_mistyped(file: StudyFile, problems: Sequence[Problem]) -> bool:
    """Whether each key of `space` and `set` has a problem: then the constructors have nothing more to say of them.

    Args:
        file: the study.
        problems: what `of_recipe` has found.
    """
    places = [f"{section}.{key}" for section, keys in (("space", file.space), ("set", file.set)) for key in keys]
    return bool(places) and all(any(f"{each.key}.".startswith(f"{place}.") for each in problems) for place in places)


def find_recipe_of(file: Path, said: str, settings: Sequence[str] = ()) -> Path:
    """The recipe that a study or a claim names: the file relative to it or, failing that, what `find_recipe` finds.

    Args:
        file: of the study or claim.
        said: its `recipe`.
        settings: overrides of the recipe; with them the name of a task will do.

    Raises:
        BadInput: there is none.
    """
    beside = file.parent / said
    return beside if beside.is_file() else find_recipe(said, settings=settings)


def _base_recipe(file: StudyFile, settings: Sequence[str], problems: list[Problem]) -> Recipe | None:
    """The study's recipe with `set`; None if it cannot be read."""
    if any(problem.key == "recipe" for problem in problems):
        return None
    settings = [*checks.overrides(file.set), *settings]
    try:
        recipe = load_recipe(find_recipe_of(file.path, file.recipe, settings), settings)
    except RecipeError as error:
        problems += checks.relocated(file, "set", file.set, error.problems)
        return None
    except BadInput as error:
        problems.append(file.problem("recipe", str(error)))
        return None
    problems += checks.relocated(file, "set", file.set, recipe.problems)
    return None if recipe.problems else recipe


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
        near = [each for each in meant(key, levels(recipe, entry)) if "." in each] if why and "." not in key else []
        if near:
            why = f"cannot be part of the space{did_you_mean(near)}"
        complaints = [(key, why)] if why else [(problem.key, problem.message) for problem in found.problems]
        if not complaints:
            complaints = [each for each in unknown_keys(found, entry) if f"{key}.".startswith(f"{each[0]}.")]
        for name, message in complaints:
            seen.add(key)
            yield file.problem(f"space.{place}", message if name == key else f"{name}: {message}")
