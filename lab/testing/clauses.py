"""The clauses that need no training: parameters, hooks, recipes, and what the data says about itself."""

from __future__ import annotations

import inspect
import itertools
import math
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from lab.errors import LabError, RecipeError
from lab.keywords import takes
from lab.recipe import Recipe, load
from lab.recipe.signature import check, parameters
from lab.registry import recipes
from lab.task import hook, lookalikes
from lab.testing.runs import ContractError, require
from lab.testing.short import small

if TYPE_CHECKING:
    from lab.runner.assembly import Assembly
    from lab.task import Task


def check_parameters(task: Task) -> None:
    """Every constructor parameter is a typed keyword with a line under `Args:`."""
    broken = []
    for target in (task.module, task.data):
        where = f"{target.__module__}.{target.__qualname__}"
        for argument in inspect.signature(target).parameters.values():
            by_name = argument.kind in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY)
            passed_on = argument.kind is argument.VAR_KEYWORD and not takes(target)[1]
            if not by_name and not passed_on:
                broken.append(f"{where}: {argument} is no plain keyword, so no recipe can set it by name")
        for keyword in parameters(target):
            if keyword.type == "Any":
                broken.append(f"{where}: {keyword.name} has no type that a recipe can be checked against")
            if not keyword.meaning:
                broken.append(f"{where}: {keyword.name} is missing under `Args:` in the class's docstring")
    require(not broken, "\n".join(broken))


def check_hooks(task: Task) -> None:
    """No method has nearly the name of a hook, and is never called because of it."""
    broken = list(lookalikes(task))
    require(not broken, "\n".join(broken))


def own_recipes(name: str) -> list[Path]:
    """The installed recipes whose `task:` is this one, the shortest training first: at least one."""
    unreadable, own = [], []
    for file in recipes().values():
        try:
            recipe = load(file.path) if name in file.path.read_text() else None
            own += [recipe] if recipe is not None and recipe.task == name else []
        except RecipeError as error:
            unreadable.append(str(error))
    hint = "; ".join(
        ["ship one in the package and name its folder in the entry-point group `lab.recipes`", *unreadable]
    )
    require(own, f"no installed recipe says `task: {name}`: {hint}")
    return [recipe.path for recipe in sorted(own, key=_length)]


def _length(recipe: Recipe) -> tuple[float, float, str]:
    """Orders recipes by the steps or epochs that they ask for; by name where they ask for none."""
    steps, epochs = recipe.data.get("total_steps", math.inf), recipe.trainer.get("max_epochs", math.inf)
    return steps, epochs, recipe.path.stem


def check_header(file: Path) -> None:
    """The first line is the command that runs the recipe; the comment below says which score to expect.

    >>> from lab.registry import find_recipe
    >>> check_header(find_recipe("ppo_cartpole"))

    Raises:
        ContractError: one of them is missing.
    """
    first, *below = file.read_text(encoding="utf-8").splitlines() or [""]
    command = re.match(r"# lab run (\S+)", first)
    broken = []
    if command is None or command[1] != file.stem:  # an installed recipe is run by its name, from any folder
        broken.append(f"{file}:1: the first line is the command that runs the recipe, such as `# lab run {file.stem}`")
    header = " ".join(itertools.takewhile(lambda line: line.startswith("#"), below))
    if not re.search(r"\bexpect.*\d", header):
        example = "such as `# expect a test/accuracy of 0.97`"
        broken.append(f"{file}:2: the comment below says which score to expect, {example}")
    require(not broken, "\n".join(broken))


def check_facts(file: Path) -> Assembly | None:
    """`data.facts()` is plain, cheap, the same twice, and nothing a recipe may set; None where its extra is missing."""
    from lab.runner.assemble import assemble

    try:
        assembly = assemble(small(file))
    except RecipeError as error:
        if all("is not installed: pip install" in problem.message for problem in error.problems):
            return None
        raise ContractError(f"{file} cannot be used: {error}") from error
    where = f"{type(assembly.data).__qualname__}.facts()"
    facts: Callable[[], dict[str, Any]] = hook(assembly.data, "facts") or dict  # none at all is fine
    first = facts()
    start = time.perf_counter()
    second = facts()
    seconds = time.perf_counter() - start
    broken = [] if first == second else [f"{where} is not the same twice: {first!r}, then {second!r}"]
    if seconds >= 1:
        broken.append(f"{where} took {seconds:.1f} s; it is asked before setup() and must be cheap")
    foreign = {key: value for key, value in first.items() if not _plain(value)}
    broken += [
        f"{where}: {key} is {value!r}; only plain values survive in a checkpoint" for key, value in foreign.items()
    ]
    refused = {key for key, _ in check(assembly.task.module, dict.fromkeys(first, 1), given=first, partial=True)[1]}
    settable = sorted(first.keys() - refused)
    broken += [f"{where}: a recipe can set model.{key}, though it is a fact of the data" for key in settable]
    require(not broken, "\n".join(broken))
    return assembly


def needs_nothing(file: Path, assembly: Assembly) -> bool:
    """Whether a recipe can be trained without a download of data or weights and without another run."""
    start = load(file).start_from
    if start is not None and start.run is not None:
        return False
    pretrain = hook(assembly.module, "pretrain") or (lambda: None)
    with no_network():
        try:
            assembly.data.prepare_data()
            pretrain()
        except (LabError, OSError):
            return False
    return True


@contextmanager
def no_network() -> Iterator[None]:
    """Every connection fails while the block lasts, and what is not on this machine is not downloaded."""

    def refuse(*_: Any) -> None:
        raise OSError("no network")

    with patch.object(socket.socket, "connect", refuse):
        yield


def _plain(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(_plain(entry) for entry in value)
    if type(value) is dict:
        return all(_plain(entry) for entry in (*value, *value.values()))
    return value is None or type(value) in (bool, int, float, str)
