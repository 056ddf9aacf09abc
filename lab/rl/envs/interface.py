"""Environments of Gym's old interface, known by signatures, `return` statements and annotations; nothing is called.

Before version 0.26 `reset` took no seed and returned the observation alone, and `step` returned one truth about the end
of an episode. What these do not say is found in the first step: `checked.py`.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import gymnasium as gym

from lab.errors import BadSetting
from lab.keywords import returned
from lab.rl.envs.state import snapshot
from lab.rl.envs.wrappers import KEY, Wrappers, find

RETURNS = {"reset": "(observation, info)", "step": "(observation, reward, terminated, truncated, info)"}
ARRAY_METHODS = {"astype", "copy", "flatten", "reshape"}  # which no tuple has


def check_interface(env: gym.Env[Any, Any], wrappers: Wrappers = ()) -> None:
    """Refuses an environment, or one of `wrappers` around it, whose `reset` or `step` is Gym's old one.

    Raises:
        BadSetting: names the method, where it is written, and what it has to return.
    """
    places: dict[Any, str] = {layer.kind: f"{KEY}.{layer.place}" for layer in find(wrappers)}
    for method in RETURNS:
        for part in snapshot.layers(env):
            kind: Any = type(part)
            if kind.__module__.partition(".")[0] in ("gymnasium", "lab"):
                continue
            if fault := _fault(kind, method):
                raise BadSetting(places.get(kind, "env"), fault)
            if method in vars(kind):  # it may make a new result of an old one
                break


@functools.cache
def _fault(kind: type, method: str) -> str:
    """The fault of a method that has an old interface; empty if it has none, or nothing is known."""
    function = getattr(kind, method)
    found = _source(function)
    if found is None:
        return ""
    where = f"{kind.__name__}.{method} ({Path(function.__code__.co_filename).name}:{function.__code__.co_firstlineno})"
    wanted = f"Gym's old interface; in Gymnasium it returns {RETURNS[method]}"
    if method == "reset":
        parameters = inspect.signature(function).parameters
        takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        if missing := [name for name in ("seed", "options") if name not in parameters and not takes_any]:
            return f"{where} does not take {' and '.join(missing)}, as in {wanted}"
    right = RETURNS[method].count(",") + 1
    lengths = _lengths(kind, method) or _annotated(function)
    if not lengths or right in lengths:
        return ""
    count = lengths.pop()
    return f"{where} returns {f'{count} values' if count > 1 else 'one value'}, as in {wanted}"


def _source(function: Any) -> ast.FunctionDef | None:
    """A method's code; None where there is none, or a decorator may change what it returns."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None
    return tree if isinstance(tree, ast.FunctionDef) and not tree.decorator_list else None


def _lengths(kind: type, method: str, depth: int = 0) -> set[int]:
    """Number of values that its `return` statements have, as far as they show it; 1 where it is certainly no tuple."""
    function = getattr(kind, method, None)
    tree = _source(function)
    if tree is None:
        return set()
    found = {_length(value, kind, function, depth) for value in _returns(tree)}
    return found - {0}


def _returns(node: ast.AST) -> Iterator[ast.expr]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Return) and child.value is not None:
            yield child.value
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield from _returns(child)


def _length(value: ast.expr, kind: type, function: Any, depth: int) -> int:
    """The number of values of an expression; 0 where only running it would show it."""
    match value:
        case ast.Tuple(elts=parts):
            return 0 if any(isinstance(part, ast.Starred) for part in parts) else len(parts)
        case ast.List() | ast.Dict() | ast.Constant():
            return 1
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)) if not depth:
            inner = _lengths(kind, name, depth + 1)
            return inner.pop() if len(inner) == 1 else 0
        case ast.Call(func=ast.Attribute(value=owner, attr=name)):
            module = function.__globals__.get(owner.id) if isinstance(owner, ast.Name) else None
            return int(name in ARRAY_METHODS or (module is not None and module is sys.modules.get("numpy")))
    return 0


def _annotated(function: Callable[..., Any]) -> set[int]:
    """The same from its annotation."""
    hint = returned(function)
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if not isinstance(kind, type) or kind in (object, Any):
        return set()
    if not issubclass(kind, tuple):
        return {1}
    return {len(parts)} - {0} if ... not in parts else set()
