"""Constructors that pass the keywords they do not name on to their parent: `super().__init__(**kwargs)`."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any


def constructors(target: Callable[..., Any]) -> tuple[list[tuple[Callable[..., Any], set[str]]], bool]:
    """The functions that the keywords of `target` reach, and whether it takes keywords that none of them names.

    Args:
        target: a class or a function.

    Returns:
        The target itself, and after it each parent's `__init__` that the one before passes its `**kwargs` on to, each
        with those of its parameters that are given already.
    """
    found: list[tuple[Callable[..., Any], set[str]]] = [(target, set())]
    if not isinstance(target, type):
        return found, _open(target)
    own = [vars(cls)["__init__"] for cls in target.__mro__ if "__init__" in vars(cls)]
    for function, parent in pairwise(own):
        given = _passed_on(function) if inspect.isfunction(function) else None
        if given is None:
            return found, _open(found[-1][0])
        count, names = given
        found.append((parent, names | set(_parameters(parent)[1 : count + 1])))
    return found, _open(found[-1][0])


def _parameters(function: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except ValueError:  # written in C
        return []


def _open(function: Callable[..., Any]) -> bool:
    """Whether it takes `**kwargs`."""
    try:
        return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
    except ValueError:  # written in C without a signature: it will judge for itself
        return True


@cache
def _passed_on(function: Callable[..., Any]) -> tuple[int, set[str]] | None:
    """What a constructor gives to its parent's beside its `**kwargs`, as its source says.

    Returns:
        How many arguments by position and which by name; None if it does not pass its `**kwargs` on.
    """
    if not _open(function):
        return None
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):  # made at run time
        return None
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef) or definition.args.kwarg is None:
        return None
    name = definition.args.kwarg.arg
    for call in (node for node in ast.walk(definition) if isinstance(node, ast.Call)):
        called = ast.unparse(call.func)
        if not called.endswith(".__init__"):
            continue
        if any(key.arg is None and ast.unparse(key.value) == name for key in call.keywords):
            plain = [each for each in call.args if not isinstance(each, ast.Starred)]
            count = len(plain) - (not called.startswith("super("))  # `Parent.__init__(self, ...)`
            return max(count, 0), {key.arg for key in call.keywords if key.arg is not None}
    return None
