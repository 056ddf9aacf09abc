"""`lab ls`, `lab show` and `lab cp`: list recipes and tasks, show their settings, copy a recipe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import words
from lab.cli.output import emit, table
from lab.errors import BadInput, nearest

if TYPE_CHECKING:
    from lab.registry import Shelf


def ls(as_json: words.Json = False) -> None:
    """List the installed recipes, studies, claims and tasks; nothing is imported."""
    from lab import registry

    recipes = [
        {
            "name": file.name,
            "task": _task(file.path),
            "summary": file.summary,
            "distribution": file.distribution,
            "path": file.path,
        }
        for file in registry.recipes().values()
    ]
    tasks = [
        {"name": plugin.name, "distribution": plugin.distribution}
        for plugin in registry.plugins(load=False)
        if plugin.kind == "task"
    ]
    shelves: dict[str, Shelf] = {"studies": "study", "claims": "claim"}
    others = {
        title: [
            {"name": file.name, "summary": file.summary, "distribution": file.distribution, "path": file.path}
            for file in registry.recipes(shelf).values()
        ]
        for title, shelf in shelves.items()
    }
    if as_json:
        emit({"recipes": recipes, **others, "tasks": tasks})
        return
    table(
        ["RECIPE", "TASK", "SUMMARY", "FROM"],
        [[str(recipe[key]) for key in ("name", "task", "summary", "distribution")] for recipe in recipes],
    )
    for title, shelf in shelves.items():
        if others[title]:
            print()
            cells = [[str(file[key]) for key in ("name", "summary", "distribution")] for file in others[title]]
            table([shelf.upper(), "SUMMARY", "FROM"], cells)
    print()
    table(["TASK", "FROM"], [list(task.values()) for task in tasks])


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A task or a recipe.", autocompletion=words.all_names)],
    as_json: words.Json = False,
) -> None:
    """Show the settings of a task, or the text of a recipe."""
    from lab.registry import find_recipe, recipes, task_names

    if name in task_names():
        _show_task(name, as_json)
    elif name in recipes() or Path(name).is_file():
        _show_recipe(find_recipe(name), as_json)
    else:
        close = nearest(name, [*task_names(), *recipes()])
        raise BadInput(f"no task or recipe {name!r}{close or '; `lab ls` lists them'}")


def cp(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="An installed recipe, study or claim, or a file.", autocompletion=words.file_names
        ),
    ],
    to: Annotated[Path, typer.Argument(metavar="DEST", help="A file or a folder.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
) -> None:
    """Copy a recipe, a study or a claim, to change it."""
    from lab.registry import find_recipe, recipes

    source, verb = None, "run"
    others: dict[Shelf, str] = {"study": "tune", "claim": "claim"}
    for shelf, its_verb in others.items():
        if name in recipes(shelf):
            source, verb = recipes(shelf)[name].path, its_verb
    source = source or find_recipe(name)
    target = to / source.name if to.is_dir() else to
    if target.exists() and not force:
        raise BadInput(f"{target} exists; name another file, or overwrite it with --force")
    try:
        target.write_bytes(source.read_bytes())
    except OSError as error:
        raise BadInput(f"cannot write {target}: {error.strerror}") from error
    print(f"wrote {target}; run it with: lab {verb} {target}")


def _show_task(name: str, as_json: bool) -> None:
    from lab.cli.card import TITLES, card, rows

    page = card(name)
    if as_json:
        emit(page.json())
        return
    print(f"{name}: {page.about}")
    best = f"{'largest' if page.mode == 'max' else 'smallest'} {page.monitor}" if page.monitor else "last checkpoint"
    print(f"best: the {best}")
    for section, parameters in {"model": page.model, "data": page.data}.items():
        print(f"\n{section}:")
        table(TITLES, rows(parameters))


def _show_recipe(file: Path, as_json: bool) -> None:
    text, task = file.read_text(encoding="utf-8"), _task(file)
    if as_json:
        emit({"name": file.stem, "path": file, "task": task, "text": text})
        return
    print(f"# {file}")  # a comment, so that the output is still a recipe
    print(f"# what {task} accepts: lab show {task}" if task != "inline" else "# brings its own task")
    print(text, end="")


def _task(file: Path) -> str:
    """The `task:` of a recipe without parsing it, or `inline`."""
    named = re.search(r"^task:[ \t]*([\w.-]+)", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return named[1] if named else "inline"
