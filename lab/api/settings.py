"""Overrides of a recipe as Python has them: texts `a.b=v`, and mappings from dotted keys to values."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from lab.errors import BadInput, nearest, suggestion

SECTIONS = ("model", "data", "trainer", "track", "checkpoint")  # of a recipe, with settings of their own
Override = str | Mapping[str, Any]
P = ParamSpec("P")
R = TypeVar("R")


def texts(overrides: Iterable[object]) -> list[str]:
    """Every override as the command line has it.

    Values are what a recipe can hold: numbers, text, lists and mappings; arrays and tensors as lists, members of an
    enum by name, and classes and functions by their dotted names.

    >>> texts(["seed=3", {"model.gamma": 0.95, "model.hidden_sizes": (64, 64)}])
    ['seed=3', 'model.gamma=0.95', 'model.hidden_sizes=[64, 64]']

    Raises:
        BadInput: a key or a value that no recipe can hold.
    """
    from lab.recipe import override

    found: list[str] = []
    for given in overrides:
        if isinstance(given, str):
            found.append(given)
        elif isinstance(given, Mapping):
            found += [override(key, _plain(_checked(key, value), value)) for key, value in given.items()]
        else:
            kind = type(given).__name__
            raise BadInput(
                f'override {given!r}: of type {kind}; expected "model.gamma=0.95" or {{"model.gamma": 0.95}}'
            )
    return found


def refuses_other_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """A function that says how a setting is given where one stands as a keyword: `run("mine.yaml", lr=0.1)`.

    Raises:
        BadInput: on a call with a keyword that the function does not have.
    """
    parameters = signature(function).parameters
    known = [name for name, each in parameters.items() if each.kind is not each.VAR_POSITIONAL]
    way = '; a setting is given as "model.lr=0.1" or {"model.lr": 0.1}' if "overrides" in parameters else ""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in kwargs.items():
            if name not in known:
                near = nearest(name, known) + way or suggestion(name, known, "it has")
                raise BadInput(f"{name}={value!r}: no argument of {function.__name__}{near}")
        return function(*args, **kwargs)

    return call


def at_least(least: int, name: str, value: int | None) -> None:
    """Refuses an argument that is neither None nor a whole number of so much."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise BadInput(f"{name}={value!r}: expected a whole number of {least} or more")


def _checked(key: object, value: object) -> str:
    if not isinstance(key, str) or "=" in key:
        raise BadInput(f'override {key!r}: expected a dotted key such as "model.gamma"')
    if isinstance(value, Mapping) and key in SECTIONS:  # it would take away what the file says
        dotted = ", ".join(f'"{key}.{name}": {entry!r}' for name, entry in value.items())
        raise BadInput(f"override {key}: write every setting with its own key: {{{dotted}}}")
    return key


def _plain(key: str, value: Any) -> Any:
    """The value in the types of YAML."""
    if isinstance(value, Enum):
        return value.name
    for kind in (bool, int, float, str):  # also where it is a subclass, as numpy's float64
        if isinstance(value, kind):
            return kind(value)
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {name if isinstance(name, int) else str(name): _plain(key, entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [_plain(key, entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    if callable(getattr(value, "tolist", None)):
        return _plain(key, value.tolist())
    if type(value).__module__ == "torch" and type(value).__name__ in ("dtype", "device"):
        return str(value)
    if callable(value) and hasattr(value, "__qualname__"):
        return _dotted(key, value)
    path = f"{type(value).__module__}.{type(value).__qualname__}"
    raise BadInput(
        f"override {key}: a recipe cannot hold an object of {path}; "
        f'write {{"class_path": "{path}", "init_args": {{...}}}}, and it is made for the run'
    )


def _dotted(key: str, value: Any) -> str:
    """The name by which a recipe says a class or a function.

    Raises:
        BadInput: another process could not find it by a name.
    """
    module, name = value.__module__, value.__qualname__
    if module == "__main__":
        raise BadInput(
            f"override {key}: {name} is defined here, and a recipe names things by their modules; "
            f"write it into a file such as my_project.py, and give my_project.{name}"
        )
    here: Any = sys.modules.get(module)
    for part in name.split("."):
        here = getattr(here, part, None)
    if here is not value:
        raise BadInput(f"override {key}: {module}.{name} is not found by that name; define it at the top of a module")
    return f"{module}.{name}"
