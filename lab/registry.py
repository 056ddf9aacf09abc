"""Entry points -> tasks, recipes and data sets: listing imports nothing, and one broken plugin never harms another."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from lab.errors import BadInput, one_line, unknown_task
from lab.imports import load_object
from lab.recipe_files import OTHER_FILES, SHELVES, Shelf, kind_of, missing_file, summary, task_in, wrong_kind
from lab.task import Task

Kind = Literal["task", "recipes", "datasets"]
_GROUPS: dict[Kind, str] = {"task": "lab.tasks", "recipes": "lab.recipes", "datasets": "lab.datasets"}
_SHELVES: dict[str, Shelf] = {"studies": "study", "claims": "claim"}  # folders of a package whose files are no recipes


@dataclass(frozen=True)
class Plugin:
    """One entry point, and whether it works.

    Args:
        kind: a task, a folder of recipes, or records of data sets.
        name: the entry point's name; a task's is what a recipe says.
        value: what it names: `package.module:TASK`, the package that holds the recipes, or `package.module:DATASETS`.
        distribution: the installed distribution that brings it.
        version: that distribution's version.
        state: `duplicate` when another distribution brings a task of that name.
        error: what is wrong, on one line.
    """

    kind: Kind
    name: str
    value: str
    distribution: str
    version: str
    state: Literal["ok", "broken", "duplicate"] = "ok"
    error: str = ""

    @property
    def source(self) -> str:
        """The distribution and its version, as a message names them."""
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class RecipeFile:
    """An installed recipe.

    Args:
        name: what `lab run` takes: the file's stem, or `distribution/folder/stem` where several files share a stem.
        path: the file.
        distribution: the installed distribution that brings it.
        summary: its second comment line: what it is and the score to expect.
    """

    name: str
    path: Path
    distribution: str
    summary: str

    @property
    def task(self) -> str | None:
        """The name of its task; None if it brings its own."""
        return task_in(self.path)


def task_names() -> list[str]:
    """The names of the installed tasks."""
    return sorted({entry.name for entry in _entries("task")})


def task_entry(task: object) -> str | None:
    """The entry point of the task of that name, as `package.module:TASK`; None if there is none, or more than one.

    What is no name, a recipe's own task, has none.
    """
    found = [entry.value for entry in _entries("task") if entry.name == task] if isinstance(task, str) else []
    return found[0] if len(found) == 1 else None


def find_task(name: str) -> Task:
    """The installed task of that name; nothing but its own module is imported.

    Raises:
        BadInput: if there is none, if it is broken, or if two distributions bring it.
    """
    found = [entry for entry in _entries("task") if entry.name == name]
    if not found:
        raise BadInput(unknown_task(name, task_names()))
    if len(found) > 1:
        raise BadInput(f"{_duplicate(found)}; uninstall one of them")
    try:
        return _load(found[0])
    except BadInput as error:
        raise BadInput(f"task {name!r} of {found[0].source} is broken: {error}") from error


def plugins(load: bool = True) -> list[Plugin]:
    """Every installed task, folder of recipes and source of data sets, with what is wrong with it.

    Args:
        load: import the tasks and data sets, which is the only way to learn that one is broken.
    """
    tasks = _entries("task")
    return [_tried(entry, tasks, load) for entry in (*tasks, *_entries("recipes"), *_entries("datasets"))]


def dataset_records() -> list[tuple[Plugin, list[Any]]]:
    """The records of each entry point of group `lab.datasets`: a record, several, or what a function of no arguments
    returns; of a broken one nothing, and why."""
    found: list[tuple[Plugin, list[Any]]] = []
    for entry in _entries("datasets"):
        try:
            found.append((entry, _records(entry)))
        except BadInput as error:
            found.append((replace(entry, state="broken", error=str(error)), []))
    return found


def recipes(shelf: Shelf = "recipe") -> dict[str, RecipeFile]:
    """The installed recipes, studies or claims by name; a broken plugin's are left out, and `plugins` says why."""
    files: dict[Path, Plugin] = {}
    inside: dict[Path, str] = {}
    for entry in _entries("recipes"):
        try:
            folder = _folder(entry)
        except BadInput:
            continue
        for path in folder.rglob("*.yaml"):
            place = path.relative_to(folder)
            if _SHELVES.get(place.parts[0], "recipe") == shelf:
                files.setdefault(path, entry)
                inside[path] = place.with_suffix("").as_posix()
    count = Counter(path.stem for path in files)
    found = [
        RecipeFile(
            path.stem if count[path.stem] == 1 else f"{entry.distribution}/{inside[path]}",
            path,
            entry.distribution,
            summary(path),
        )
        for path, entry in files.items()
    ]
    return {recipe.name: recipe for recipe in sorted(found, key=lambda recipe: recipe.name)}


def find_recipe(name_or_path: str, shelf: Shelf = "recipe", settings: Sequence[str] = ()) -> Path:
    """The file at that path or, failing that, the installed recipe, study or claim of that name.

    Args:
        name_or_path: what was written.
        shelf: the kind of file.
        settings: overrides of a recipe; with them the name of a task will do, which `lab.recipe.load` reads as one.

    Raises:
        BadInput: if there is neither, if it is of another kind, or if several installed recipes share the name.
    """
    return find_file(name_or_path, (shelf,), settings)[1]


def find_file(
    name_or_path: str, shelves: Sequence[Shelf] = ("recipe", "study", "claim"), settings: Sequence[str] = ()
) -> tuple[Shelf, Path]:
    """The file at that path, or the installed one of that name, and its kind.

    Args:
        name_or_path: what was written.
        shelves: the kinds that can be used, the likeliest first; a file that does not tell its kind is of the first.
        settings: overrides of a recipe; with them the name of a task will do.

    Raises:
        BadInput: if there is none, if it is of another kind, or if several installed files share the name.
    """
    if os.path.isfile(name_or_path):  # noqa: PTH113  unlike Path's, it raises for no text whatever
        kind = kind_of(Path(name_or_path)) or shelves[0]
        if kind not in shelves:
            raise BadInput(wrong_kind(name_or_path, kind, shelves))
        if (instead := OTHER_FILES.get(Path(name_or_path).suffix)) is not None:
            raise BadInput(f"{name_or_path} is {instead}")
        return kind, Path(name_or_path)
    known: dict[Shelf, dict[str, RecipeFile]] = {}
    for shelf in shelves:
        known[shelf] = recipes(shelf)
        if name_or_path in known[shelf]:
            return shelf, known[shelf][name_or_path].path
    if settings and "recipe" in shelves and name_or_path in task_names():
        return "recipe", Path(name_or_path)
    twins = [name for shelf in shelves for name in known[shelf] if name.endswith(f"/{name_or_path}")]
    if twins:
        raise BadInput(f"several installed files are named {name_or_path!r}; use one of: {', '.join(twins)}")
    if os.path.isdir(name_or_path):  # noqa: PTH112
        raise BadInput(f"{name_or_path!r} is a folder, not a {' or '.join(shelves)} file")
    known = {shelf: known.get(shelf) or recipes(shelf) for shelf in SHELVES}
    of_task = [name for name, file in known["recipe"].items() if file.task == name_or_path]
    raise BadInput(missing_file(name_or_path, shelves, known, task_names(), of_task))


# ---------------------------------------------------------------------------------------------------------- the inside


def field_of(path: str) -> str:
    """The field of a dotted path: `lab.rl.ddpg:TASK` is of rl, and what another package brings is of that package."""
    package, _, rest = path.partition(":")[0].partition(".")
    return rest.partition(".")[0] if package == "lab" else package


def _entries(kind: Kind) -> list[Plugin]:
    """The entry points of one kind. A distribution seen twice, in a checkout and installed, counts once."""
    return [entry for entry in _all_entries(_places()) if entry.kind == kind]


def _places() -> tuple[tuple[str, int], ...]:
    """The folders in which distributions are looked for, each with the time at which one came or went."""
    return tuple((path, os.stat(path or ".").st_mtime_ns) for path in sys.path if os.path.exists(path or "."))  # noqa: PTH110, PTH116


@lru_cache(maxsize=1)
def _all_entries(places: tuple[tuple[str, int], ...]) -> tuple[Plugin, ...]:  # noqa: ARG001
    """Read once for a state of `sys.path`: an environment has hundreds of distributions, each with a file."""
    found: dict[tuple[str, str, str, str], Plugin] = {}
    for distribution in distributions():
        for entry in _entries_of(distribution):
            key = (entry.kind, re.sub("[-_.]+", "-", entry.distribution).lower(), entry.name, entry.value)
            found.setdefault(key, entry)
    return tuple(sorted(found.values(), key=lambda entry: (entry.name, entry.distribution)))


def _entries_of(distribution: Distribution) -> Iterator[Plugin]:
    try:
        text = distribution.read_text("entry_points.txt") or ""
        kinds = [kind for kind, group in _GROUPS.items() if f"[{group}]" in text]
        if not kinds:
            return
        about = distribution.metadata["Name"] or "unknown", distribution.version or "unknown"
        entries = [(kind, list(distribution.entry_points.select(group=_GROUPS[kind]))) for kind in kinds]
    except Exception:  # a damaged installation, of this plugin alone
        return
    for kind, found in entries:
        for entry in found:
            yield Plugin(kind, entry.name, entry.value, *about)


def _tried(entry: Plugin, tasks: list[Plugin], load: bool) -> Plugin:
    twins = [task for task in tasks if task.name == entry.name]
    if entry.kind == "task" and len(twins) > 1:
        return replace(entry, state="duplicate", error=_duplicate(twins))
    try:
        if entry.kind == "recipes":
            _folder(entry)
        elif load:
            _load(entry) if entry.kind == "task" else _records(entry)
    except BadInput as error:
        return replace(entry, state="broken", error=str(error))
    return entry


def _load(entry: Plugin) -> Task:
    task = load_object(entry.value)
    if not isinstance(task, Task):
        raise BadInput(f"{entry.value!r} is of type {type(task).__name__}, not lab.task.Task")
    return task


def _records(entry: Plugin) -> list[Any]:
    found = load_object(entry.value)
    try:
        found = found() if callable(found) else found
        return list(found) if isinstance(found, Iterable) else [found]
    except Exception as error:  # whatever a stranger's function raises
        raise BadInput(f"{entry.value!r} failed: {one_line(error)}") from error


def _folder(entry: Plugin) -> Path:
    """The folder of a package. Finding a dotted name would import its parents, so only the first part is looked up."""
    top, *rest = entry.value.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        spec = None
    for location in (spec and spec.submodule_search_locations) or ():
        if (folder := Path(location, *rest)).is_dir():
            return folder
    raise BadInput(f"no package {entry.value!r}")


def _duplicate(entries: list[Plugin]) -> str:
    both = " and ".join(f"{entry.source} ({entry.value})" for entry in entries)
    return f"task {entries[0].name!r} is in {both}"
