"""A task on one page: what it is, what chooses its best checkpoint, and every parameter a recipe may set."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lab.cli.output import working

if TYPE_CHECKING:
    from lab.recipe.signature import Parameter

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
    from lab.recipe.signature import parameters
    from lab.registry import find_task

    with working():
        task = find_task(name)
        facts = _facts(name, task.data)
    return Card(
        name=name,
        about=_first_paragraph(task.module),
        monitor=task.monitor,
        mode=task.mode,
        model=parameters(task.module, given=facts),
        data=parameters(task.data),
    )


def rows(parameters: list[Parameter]) -> list[tuple[str, ...]]:
    """The cells under `TITLES`, one row per parameter."""
    return [(p.name, p.type, p.range, _default(p), p.meaning) for p in parameters]


def _facts(name: str, data: Callable[..., Any]) -> Collection[str]:
    """Names of what the data gives the module: asked of the data with its defaults, or as the task's recipes set it."""
    for keywords in _settings(name):
        try:
            facts: dict[str, Any] = data(**keywords).facts()
        except Exception:  # it needs an argument, a file, a package: the next recipe may do
            continue
        return facts.keys()
    return ()


def _settings(name: str) -> Iterator[dict[str, Any]]:
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
    try:
        return json.dumps(parameter.default)  # as one writes it in a recipe
    except TypeError:
        return repr(parameter.default)
