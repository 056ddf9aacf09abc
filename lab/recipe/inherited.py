"""Constructors that pass the keywords they do not name on to their parent: `super().__init__(**kwargs)`."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any


def constructors(target: Callable[..., Any]) -> tuple[list[Callable[..., Any]], bool]:
    """The keywords that a call of `target` reaches, and whether it takes keywords that none of them names.

    Args:
        target: a class or a function.

    Returns:
        The target itself, and after it each parent's `__init__` that the one before passes its `**kwargs` on to.
    """
    found: list[Callable[..., Any]] = [target]
    if not isinstance(target, type):
        return found, _open(target)
    own = [vars(cls)["__init__"] for cls in target.__mro__ if "__init__" in vars(cls)]
    for function, parent in pairwise(own):
        if not _passes_on(function):
            return found, _open(found[-1])
        found.append(parent)
    return found, _open(found[-1])


def _open(function: Callable[..., Any]) -> bool:
    """Whether it takes `**kwargs`."""
    try:
        return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
    except ValueError:  # written in C without a signature: it will judge for itself
        return True


@cache
def _passes_on(function: Callable[..., Any]) -> bool:
    """Whether a constructor gives its `**kwargs` to `super().__init__`, as its source says."""
    if not inspect.isfunction(function) or not _open(function):
        return False
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):  # made at run time
        return False
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef) or definition.args.kwarg is None:
        return False
    name = definition.args.kwarg.arg
    calls = [node for node in ast.walk(definition) if isinstance(node, ast.Call)]
    return any(
        ast.unparse(call.func) == "super().__init__"
        and any(key.arg is None and ast.unparse(key.value) == name for key in call.keywords)
        for call in calls
    )
