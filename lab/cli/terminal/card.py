"""The description of a task: its monitor and every parameter that a recipe may set."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.errors import Problem
    from lab.recipe import Recipe
    from lab.recipe.signature import Parameter
    from lab.task import Task

GIVEN, NEEDED = "given by the data", "required"
TITLES = ("PARAMETER", "TYPE", "RANGE", "DEFAULT", "MEANING")


@dataclass(frozen=True)
class Card:
    """The page of a task: printed by `lab show TASK`, and written to docs/reference.md.

    Args:
        name: the task.
        about: the first paragraph of the module's docstring.
        monitor: the metric that chooses the best checkpoint; without one the last is the best.
        mode: whether the best value of `monitor` is its `max` or its `min`.
        model: parameters of the module, a recipe's `model:`.
        data: parameters of the data, a recipe's `data:`.
    """

    name: str
    about: str
    monitor: str | None
    mode: str
    model: list[Parameter]
    data: list[Parameter]

    def json(self) -> dict[str, Any]:
        """The card as plain data; a required parameter has no `default`."""
        from lab.keywords import REQUIRED

        card = asdict(self)
        for parameter in (*card["model"], *card["data"]):
            parameter["required"] = parameter["default"] is REQUIRED and not parameter["given"]
            if parameter["default"] is REQUIRED:
                del parameter["default"]
        return card


def card(name: str) -> Card:
    """The card of an installed task; imports the task."""
    from lab.registry import find_task

    task = find_task(name)
    return _page(name, task, _facts(task.data, _settings(name)))


def own_card(recipe: Recipe) -> Card:
    """The card of a task that is written out in its recipe; imports what it names.

    Raises:
        RecipeError: the task cannot be used.
    """
    from lab.errors import RecipeError
    from lab.recipe.objects import holds_objects
    from lab.recipe.signature import check
    from lab.runner.assembly import task_of

    problems: list[Problem] = []
    task = task_of(recipe, problems)
    if task is None:
        raise RecipeError(problems)
    keywords, complaints = check(task.data, recipe.data, objects=True)
    usable = not complaints and not holds_objects(recipe.data)
    return _page(recipe.name, task, _facts(task.data, [keywords] if usable else []))


def _page(name: str, task: Task, facts: Collection[str]) -> Card:
    from lab.recipe.signature import parameters

    return Card(
        name=name,
        about=_first_paragraph(task.module),
        monitor=task.monitor,
        mode=task.mode,
        model=parameters(task.module, given=facts),
        data=parameters(task.data),
    )


def rows(parameters: list[Parameter], settings: Mapping[str, Any] | None = None) -> list[tuple[str, ...]]:
    """The cells under `TITLES`, one row per parameter; what a recipe sets stands behind the default."""
    said = {} if settings is None else {name: f", here {_written(value)}" for name, value in settings.items()}
    return [(p.name, p.type, p.range, _default(p) + said.get(p.name, ""), p.meaning) for p in parameters]


def _facts(data: Callable[..., Any], settings: Iterable[dict[str, Any]]) -> Collection[str]:
    """Names of what the data gives the module: asked of the data with the first of these settings that it takes."""
    for keywords in settings:
        try:
            facts: dict[str, Any] = data(**keywords).facts()
        except Exception:  # it needs an argument, a file, a package: the next recipe may do
            continue
        return facts.keys()
    return ()


def _settings(name: str) -> Iterator[dict[str, Any]]:
    """The data's defaults, and what the task's recipes set."""
    from lab.errors import RecipeError
    from lab.recipe import load
    from lab.registry import recipes

    yield {}
    for file in recipes().values():
        try:
            recipe = load(file.path)
        except RecipeError:
            continue
        if recipe.task == name:
            yield recipe.data


def _first_paragraph(module: Callable[..., Any]) -> str:
    text = module.__doc__ or sys.modules[module.__module__].__doc__ or ""
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())


def _default(parameter: Parameter) -> str:
    from lab.keywords import REQUIRED

    if parameter.given:
        return GIVEN
    if parameter.default is REQUIRED:
        return NEEDED
    return _written(parameter.default)


def _written(value: Any) -> str:
    """A value as one writes it in a recipe."""
    try:
        return json.dumps(value)
    except TypeError:
        return repr(value)
