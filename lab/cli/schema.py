"""`lab schema`: what a recipe may say, as a JSON schema that editors complete and check it with."""

from __future__ import annotations

import json
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.terminal import words
from lab.cli.terminal.output import emit
from lab.cli.terminal.working import working
from lab.errors import BadInput, nearest
from lab.sentences import tell

if TYPE_CHECKING:
    from lab.recipe import Recipe
    from lab.task import Task

MODELINE = "# yaml-language-server: $schema="


def schema(
    name: Annotated[
        str | None,
        typer.Argument(metavar="RECIPE|TASK", help="By default any recipe.", autocompletion=words.all_names),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write it beside the recipe, and name it in the recipe's header.")
    ] = False,
) -> None:
    """Print the JSON schema of a task's recipes, with which an editor completes and checks them."""
    from lab.recipe import load
    from lab.recipe.json_schema import recipe_schema
    from lab.registry import find_recipe, recipes, task_names

    file = None if name is None or name in task_names() else Path(name)
    if file is not None and not file.is_file() and name not in recipes():
        raise BadInput(f"no recipe or task {name!r}{nearest(str(name), [*task_names(), *recipes()])}")
    if write and (file is None or not file.is_file()):
        raise BadInput("--write: expected a recipe file, such as one that `lab cp` made")
    with working(f"importing what {name or 'a recipe'} needs"):
        if name is None:
            found = recipe_schema({"anyOf": [{"enum": task_names()}, {"type": "object"}]})
        else:
            found = task_schema(name) if file is None else file_schema(load(find_recipe(name)))
    if write and file is not None:
        _write(file, found)
    else:
        emit(found)


def task_schema(name: str) -> dict[str, Any]:
    """The schema of a recipe of an installed task."""
    from lab.cli.terminal.card import card
    from lab.registry import find_task

    return _schema({"const": name}, find_task(name), {each.name for each in card(name).model if each.given})


def file_schema(recipe: Recipe) -> dict[str, Any]:
    """The schema of a recipe: that of its task, also if the task is written out in it.

    Raises:
        RecipeError: its task cannot be used.
    """
    from lab.cli.terminal.card import own_card
    from lab.errors import Problem, RecipeError
    from lab.recipe import InlineTask
    from lab.recipe.json_schema import keyword_schema
    from lab.runner.assembly import task_of

    problems: list[Problem] = []
    task = task_of(recipe, problems)
    if task is None:
        raise RecipeError(problems)
    if not isinstance(recipe.task, InlineTask):
        return task_schema(recipe.task)
    given = {each.name for each in own_card(recipe).model if each.given}
    return _schema(keyword_schema(InlineTask), task, given, recipe.task.data is not None)


def _schema(written: dict[str, Any], task: Task, given: set[str], data: bool = True) -> dict[str, Any]:
    """The schema of a recipe of this task, which is `written` as its key `task` says."""
    from lightning import Trainer

    from lab.recipe.json_schema import recipe_schema
    from lab.runner.assemble import ELSEWHERE

    sections = {"model": task.module, "data": task.data if data else None, "trainer": Trainer}
    return recipe_schema(written, sections, {"model": given, "trainer": ELSEWHERE})


def _write(file: Path, found: dict[str, Any]) -> None:
    """Writes the schema beside the recipe and, if the recipe names none yet, its name into the recipe."""
    task = found["properties"]["task"].get("const", file.stem)
    target = file.with_name(f"{task}.schema.json")
    text = file.read_text(encoding="utf-8")
    try:
        target.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        if MODELINE not in text:
            lines = text.splitlines(keepends=True)
            end = len(list(takewhile(lambda line: line.startswith("#"), lines)))  # editors read it before the first key
            file.write_text("".join([*lines[:end], f"{MODELINE}{target.name}\n", *lines[end:]]), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {error.filename}: {error.strerror}") from error
    tell(f"wrote {target}; editors with the YAML language server now check {file}")
