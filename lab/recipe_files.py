"""Recipes, studies and claims as files: what they are, without parsing them, and what to say where one is not found."""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Literal

from lab.errors import closest

Shelf = Literal["recipe", "study", "claim"]
SHELVES: tuple[Shelf, ...] = ("recipe", "study", "claim")
VERBS: dict[Shelf, str] = {"recipe": "run", "study": "tune", "claim": "claim"}
OTHER_FILES = {  # by suffix: what it is, and what to do with it
    ".py": "a Python file; a recipe names its classes: task: {module: package.module:Name}",
    ".ipynb": "a notebook; a recipe names classes in a Python file: task: {module: package.module:Name}",
    ".ckpt": "a checkpoint; lab resume RUN and lab eval RUN take the run that it is of",
}
MOST_READ = 1_000_000  # characters of a file that are looked at


def task_in(path: Path) -> str | None:
    """The `task:` of a recipe, without parsing it; None if it is written out."""
    named = re.search(r"^task:[ \t]*([\w.-]+)", _beginning(path), re.MULTILINE)
    return named[1] if named else None


def kind_of(path: Path) -> Shelf | None:
    """Whether a file is a recipe, a study or a claim, by its keys; None if they do not tell."""
    keys = set(re.findall(r"^(\w+)[ \t]*:", _beginning(path), re.MULTILINE))
    signs: dict[Shelf, set[str]] = {
        "recipe": {"task"},
        "claim": {"claim", "better", "worse"},
        "study": {"recipe", "space", "sampler", "trials"},
    }
    return next((kind for kind, words in signs.items() if keys & words), None)


def summary(path: Path) -> str:
    """The second comment line: what it is, and the score to expect."""
    second = (_beginning(path).splitlines()[1:2] or [""])[0]
    return second.lstrip("#").strip() if second.startswith("#") else ""


def missing_file(
    name: str,
    wanted: Sequence[Shelf],
    installed: Mapping[Shelf, Collection[str]],
    tasks: Collection[str],
    recipes_of_task: Collection[str],
) -> str:
    """The error for a recipe, a study or a claim that is neither a file nor installed.

    Args:
        name: what was written.
        wanted: the kinds that can be used here, the likeliest first.
        installed: names of what is installed, by kind.
        tasks: names of the installed tasks.
        recipes_of_task: the recipes of the task of that name.
    """
    for kind in installed:
        if kind not in wanted and name in installed[kind]:
            return wrong_kind(name, kind, wanted)
    if name in tasks and recipes_of_task:
        all_of_them, shortest = ", ".join(sorted(recipes_of_task)), min(recipes_of_task, key=len)
        own = f", or with settings of your own: lab run {name} a.b=value" if "recipe" in wanted else ""
        return f"{name} is a task; its recipes are {all_of_them}: lab run {shortest}{own}"
    if name in tasks:
        return f"{name} is a task without a recipe; its settings: lab show {name}"
    text = f"no {_either(wanted)} file {name!r}, and none installed"
    if near := _near_file(name):
        return f"{text}; did you mean {near!r}?"
    stem = Path(name).stem
    best: tuple[float, str] = 0.0, ""
    everything: list[tuple[str, Collection[str]]] = [*installed.items(), ("task", tasks)]
    for what, names in everything:
        if (close := closest(stem, names)) is None:
            continue
        likeness = SequenceMatcher(None, stem.lower(), close.lower()).ratio() + (0.05 if what in wanted else 0.0)
        best = max(best, (likeness, repr(close) if what in wanted else f"the {what} {close!r}"))
    return f"{text}; did you mean {best[1]}?" if best[1] else f"{text}; `lab ls` lists them"


def _near_file(name: str) -> str | None:
    """A YAML file with another ending or in a folder below, or one of the same folder with nearly this name."""
    path = Path(name)
    try:
        files = [each for each in path.parent.iterdir() if each.suffix in (".yaml", ".yml")]
        below = (path.parent.glob(f"[!.]*/{glob.escape(path.stem)}{suffix}") for suffix in (".yaml", ".yml"))
        same = next((each for each in itertools.chain(files, *below) if each.stem == path.stem), None)
    except (OSError, ValueError):  # the name is too long, or no name of a file
        return None
    near = closest(path.name, [each.name for each in files], cutoff=0.75)
    return str(same) if same else str(path.parent / near) if near else None


def wrong_kind(name: str, kind: Shelf, wanted: Sequence[Shelf]) -> str:
    """The error for a file, or an installed one, of another kind, with the command for it."""
    return f"{name} is a {kind}, not a {_either(wanted)}: lab {VERBS[kind]} {name}"


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def _beginning(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(MOST_READ)
    except OSError:  # a link to nowhere, say: `lab run` will tell
        return ""
