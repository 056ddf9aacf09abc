"""The errors of `lab`, with messages for users. The command line prints these without a traceback."""

from __future__ import annotations

import difflib
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType
from typing import Any

LONGEST = 200  # characters of an override in a message


class LabError(Exception):
    """Something failed; the message says what, where and what to do next."""

    exit_code = 1

    def lines(self) -> list[str]:
        """The message as a terminal and a notebook show it."""
        return [f"error: {self}"]

    def _render_traceback_(self) -> list[str]:
        """For IPython, which shows these lines in place of a traceback."""
        return self.lines()


class BadInput(LabError):
    """The input cannot be used; nothing slow was started."""

    exit_code = 2


class BadSetting(BadInput):
    """A constructor refuses one of its own keywords: `raise BadSetting("env", "no environment 'Pendulm-v1'")`.

    The orchestrator adds the file, the line and the section of the recipe the keyword came from.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key, self.message = key, message


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a recipe.

    Args:
        where: `recipe.yaml:7` or `override model.lr=x`.
        key: dotted path of the value, such as `model.lr`; empty when the whole file is meant.
        message: what is wrong, what was expected, and the nearest right word.
    """

    where: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.message) if part)


class RecipeError(BadInput):
    """All the problems of one recipe, reported together."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def lines(self) -> list[str]:
        """One line for each problem, and a last one that says how many there are."""
        short = [replace(problem, where=shorten(problem.where)) for problem in self.problems]
        places = [problem.where for problem in self.problems if not problem.where.startswith("override ")]
        file = " ".join(re.sub(r":\d+$", "", places[0]).splitlines()) if places else "the overrides"
        count = f"{len(short)} problem{'s' if len(short) > 1 else ''}"
        return [*(" ".join(str(problem).splitlines()) for problem in short), f"{count} in {file}; nothing was started"]


def shorten(text: str) -> str:
    """A text of which the beginning is enough, such as an override of ten thousand characters."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that is most like this one, if any is."""
    known = list(known)
    same = [name for name in known if name.lower() == word.lower()]
    return next(iter(same or difflib.get_close_matches(word, known, n=1, cutoff=cutoff)), None)


def nearest(word: str, known: Iterable[str], prefix: str = "", cutoff: float = 0.6) -> str:
    """`; did you mean 'gamma'?` for a word close to a known one, else an empty string.

    Args:
        word: what was written.
        known: what could have been.
        prefix: written before each of them.
        cutoff: how like it has to be, from 0 to 1.
    """
    close = closest(word, known, cutoff)
    return "" if close is None else f"; did you mean {prefix + close!r}?"


def suggestion(word: str, known: Iterable[str], listed: str = "known are", cutoff: float = 0.6) -> str:
    """The same, and where no known word is close all of them: `; known are relu, tanh`."""
    known = list(known)
    return nearest(word, known, cutoff=cutoff) or f"; {listed} {', '.join(known) or 'none'}"


def unknown_name(key: str, name: str, known: Iterable[str], synonyms: Mapping[str, str] | None = None) -> BadSetting:
    """`activation: there is no 'reluu'; did you mean 'relu'?`, or else with all that are known.

    Args:
        key: the constructor's keyword.
        name: its value.
        known: the values that it may have.
        synonyms: other common names of some of them.
    """
    return BadSetting(key, f"there is no {name!r}{suggestion((synonyms or {}).get(name, name), known)}")


def unknown_task(name: str, tasks: Iterable[str]) -> str:
    """The message for a task that is not installed; a class is written out instead.

    Args:
        name: what was written.
        tasks: the names of the installed ones.
    """
    if ":" in name or "." in name:
        return f"no task {name!r}; classes are written out: task: {{module: {name}, data: package.module:Name}}"
    return f"no task {name!r}{suggestion(name, tasks, 'installed:')}"


def error_text(error: BaseException) -> str:
    """The text of an error on one line, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def one_line(error: BaseException) -> str:
    """Type and text of an error on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def own_frames(error: BaseException) -> list[tuple[CodeType, int]]:
    """Code and line of each frame of an error in somebody's own code: no library's, and not that which calls it."""
    paths, here = sysconfig.get_paths(), Path(__file__).parent
    calling = (str(here / room) for room in ("runner", "recipe", "keywords.py"))
    others = (paths["purelib"], paths["stdlib"], *calling, "<")
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return [(code, line) for code, line in frames if not code.co_filename.startswith(others)]


def raised_in(error: BaseException, owner: Any) -> str:
    """File and line of the innermost of somebody's own code, rather that of the package which `owner` comes from."""
    home = str(getattr(sys.modules.get(getattr(owner, "__module__", "").partition(".")[0]), "__file__", None) or "")
    folder = str(Path(home).parent) if home.endswith("__init__.py") else home
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [(code, line) for code, line in frames if folder and code.co_filename.startswith(folder)]
    for code, line in reversed(own or own_frames(error)):
        path = Path(code.co_filename)
        return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{line}"
    return ""
