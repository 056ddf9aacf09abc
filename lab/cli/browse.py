"""`lab ls`, `lab show` and `lab cp`: list recipes and tasks, show their settings, copy a recipe."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.terminal import words
from lab.cli.terminal.output import emit
from lab.cli.terminal.tables import paragraph, table
from lab.cli.terminal.working import working
from lab.errors import BadInput, RecipeError, nearest, suggestion
from lab.sentences import note, tell

INLINE = "inline"  # in place of a task's name, for a recipe that brings its own

if TYPE_CHECKING:
    from lab.cli.terminal.card import Card
    from lab.recipe_files import Shelf


def ls(
    filters: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORD", help="Only entries with all of these words in name, task or field."),
    ] = None,
    task: Annotated[str | None, typer.Option(help="Only this task.", autocompletion=words.tasks)] = None,
    field: Annotated[str | None, typer.Option(help="Only this field, such as rl or vision.")] = None,
    long: Annotated[bool, typer.Option("--long", help="Show expected scores and packages too.")] = False,
    as_json: words.Json = False,
) -> None:
    """List the installed recipes, studies, claims and tasks; nothing is imported."""
    listed = _installed()
    fields = {each["name"]: each["field"] for each in listed["tasks"]}
    for option, name, known in (("--task", task, fields), ("--field", field, set(fields.values()))):
        if name is not None and name not in known:
            raise BadInput(f"{option} {name}: not found{suggestion(name, sorted(known))}")
    chosen = {
        title: [each for each in entries if _fits(each, filters or (), task, field)]
        for title, entries in listed.items()
    }
    if not any(chosen.values()):
        names = [each["name"] for entries in listed.values() for each in entries]
        near = nearest((filters or [""])[0], names)
        raise BadInput(f"nothing matches {' '.join(filters or ())!r}{near or '; `lab ls` lists everything'}")
    if as_json:
        emit(chosen)
        return
    for title, key in {"RECIPE": "recipes", "STUDY": "studies", "CLAIM": "claims"}.items():
        if chosen[key]:
            _print_files(title, chosen[key], long)
            print()
    if chosen["tasks"]:
        print("TASKS")
        print(paragraph(", ".join(each["name"] for each in chosen["tasks"]), indent=2))


def _installed() -> dict[str, list[dict[str, Any]]]:
    """Recipes, studies, claims and tasks: the name of each, its field and task where it has one, and its package."""
    from lab import registry

    tasks = [
        {"name": plugin.name, "field": registry.field_of(plugin.value), "distribution": plugin.distribution}
        for plugin in registry.plugins(load=False)
        if plugin.kind == "task"
    ]
    fields = {each["name"]: each["field"] for each in tasks}
    files: dict[str, list[dict[str, Any]]] = {}
    shelves: dict[str, Shelf] = {"recipes": "recipe", "studies": "study", "claims": "claim"}
    for title, shelf in shelves.items():
        files[title] = []
        for file in registry.recipes(shelf).values():
            about = {"name": file.name, "summary": file.summary, "distribution": file.distribution, "path": file.path}
            if shelf == "recipe":
                task = file.task or INLINE
                about |= {"task": task, "field": fields.get(task)}
            files[title].append(about)
    return {**files, "tasks": tasks}


def _fits(entry: Mapping[str, Any], filters: Sequence[str], task: str | None, field: str | None) -> bool:
    name, of_task = entry["name"], entry.get("task", entry["name"])
    text = f"{name} {of_task} {entry.get('field') or ''}".lower()
    return (
        all(word.lower() in text for word in filters)
        and (task is None or task == of_task)
        and (field is None or field == entry.get("field"))
    )


def _print_files(title: str, files: Sequence[Mapping[str, Any]], long: bool) -> None:
    columns = {title: "name", **({"TASK": "task"} if "task" in files[0] else {}), "SUMMARY": "summary"}
    columns |= {"FROM": "distribution"} if long else {}
    rows = [[str(file[key]) for key in columns.values()] for file in files]
    if not long:  # what it is, without the score to expect
        column = list(columns).index("SUMMARY")
        rows = [[*row[:column], row[column].partition("; ")[0]] for row in rows]
    table(list(columns), rows, wrap=("SUMMARY",), drop=("FROM", "TASK"))


def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A task, recipe, study or claim.", autocompletion=words.all_names)
    ],
    as_json: words.Json = False,
) -> None:
    """Show the settings of a task, or the text of a recipe, a study or a claim; of a recipe's own task both."""
    from lab.registry import find_file, task_names

    if name in task_names():
        _show_task(name, as_json)
        return
    kind, path = find_file(name)
    if kind == "recipe":
        _show_recipe(path, as_json)
    elif as_json:
        emit({"name": path.stem, "path": path, "kind": kind, "text": path.read_text(encoding="utf-8")})
    else:
        print(f"# {path}\n{path.read_text(encoding='utf-8')}", end="")


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
    """Copy a recipe, a study or a claim to a file."""
    from lab.recipe_files import VERBS
    from lab.registry import find_file

    kind, source = find_file(name)
    target = to / source.name if to.is_dir() else to
    if target.exists() and not force:
        raise BadInput(f"{target} exists; name another file, or overwrite it with --force")
    if not target.parent.is_dir():
        raise BadInput(f"there is no folder {target.parent}; make it first: mkdir -p {shlex.quote(str(target.parent))}")
    try:
        target.write_bytes(_with_its_command(source.read_bytes(), f"lab {VERBS[kind]} {shlex.quote(str(target))}"))
    except OSError as error:
        raise BadInput(f"cannot write {target}: {error.strerror}") from error
    tell(f"wrote {target}; run it with: lab {VERBS[kind]} {shlex.quote(str(target))}")


def _with_its_command(text: bytes, command: str) -> bytes:
    """A recipe of which the first line, a comment with its command, names this one."""
    return re.sub(rb"\A# lab (run|tune|claim) .*", lambda _: f"# {command}".encode(), text)


def _show_task(name: str, as_json: bool) -> None:
    with working(f"importing {name}"):
        from lab.cli.terminal.card import card

        page = card(name)
    if as_json:
        emit(page.json())
    else:
        print(paragraph(f"{name}: {page.about}"))
        _print_card(page, {})


def _print_card(page: Card, settings: Mapping[str, Mapping[str, Any]]) -> None:
    """The best checkpoint and the parameters, with what a recipe sets."""
    from lab.cli.terminal.card import TITLES, rows

    best = f"{'largest' if page.mode == 'max' else 'smallest'} {page.monitor}" if page.monitor else "last checkpoint"
    print(f"best checkpoint: the {best}")
    for section, parameters in {"model": page.model, "data": page.data}.items():
        cells = rows(parameters, settings.get(section))
        print(f"\n{section}:")
        if sys.stdout.isatty():  # sentences beside four columns would be a word wide
            for row in cells:
                _print_parameter(*row)
        else:
            table(TITLES, cells)


def _print_parameter(name: str, kind: str, bounds: str, default: str, meaning: str) -> None:
    from lab.cli.terminal.card import GIVEN, NEEDED

    default = default if default.startswith((GIVEN, NEEDED)) else f"default {default}"
    about = ", ".join(each for each in (kind, bounds, default) if each)
    print(paragraph(f"{name}: {about}", indent=2, more=2).replace(name, typer.style(name, bold=True), 1))
    print(paragraph(meaning, indent=6))


def _show_recipe(file: Path, as_json: bool) -> None:
    from lab.recipe_files import task_in

    text, task = file.read_text(encoding="utf-8"), task_in(file) or INLINE
    page, settings, problem = _own_card(file) if task == INLINE else (None, {}, "")
    if as_json:
        listed = {} if page is None else page.json() | {"settings": settings}
        emit({**listed, "name": file.stem, "path": file, "task": task, "text": text})
        return
    print(f"# {file}")  # comments, so that the output is still a recipe
    print(f"# what {task} accepts: lab show {task}" if task != INLINE else "# brings its own task")
    print(text, end="" if text.endswith("\n") else "\n")
    if problem:
        note(f"its parameters are not listed: {problem}")
    if page is not None and sys.stdout.isatty():
        print(f"\n{paragraph(page.about)}")
        _print_card(page, settings)
    elif page is not None:
        with contextlib.redirect_stdout(io.StringIO()) as lines:
            print(page.about)
            _print_card(page, settings)
        print("\n" + "\n".join(f"# {line}".rstrip() for line in lines.getvalue().splitlines()))


def _own_card(file: Path) -> tuple[Card | None, dict[str, dict[str, Any]], str]:
    """The card of a recipe's own task, what the recipe sets, and why there is none."""
    with working(f"importing what {file.stem} names"):
        from lab.cli.terminal.card import own_card
        from lab.recipe import InlineTask, load

        try:
            recipe = load(file)
            settings = {"model": recipe.model, "data": recipe.data}
            return (own_card(recipe), settings, "") if isinstance(recipe.task, InlineTask) else (None, {}, "")
        except RecipeError as error:
            return None, {}, str(error.problems[0])
