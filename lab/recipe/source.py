"""Modules, classes and types as source text: found as an import would find them, and not imported."""

from __future__ import annotations

import ast
import collections.abc
import typing
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import annotated_types

DEPTH = 12  # parents and re-exports that are followed
PLAIN = {kind.__name__: kind for kind in (bool, int, float, str, list, tuple, dict)}
TYPES = {module.__name__: module for module in (collections.abc, typing, annotated_types)}


def class_source(module: str, name: str, depth: int = 0) -> tuple[str, ast.ClassDef] | None:
    """A class and the module that defines it, also where this one only imports it."""
    for node in tree(module).body if depth < DEPTH else ():
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return class_source(_absolute(module, node), alias.name, depth + 1)
    return None


def written_type(module: str, annotation: ast.expr, depth: int = 0) -> Any:
    """The type that an annotation says in the source of a module.

    Raises:
        LookupError: it is made of more than plain types, their choices and ranges, and names for them.
    """
    match annotation:
        case ast.Constant(value=int() | float() | None):
            return annotation.value
        case ast.Name(id=name):
            return _named_type(module, name, depth)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return typing.Union[written_type(module, left, depth), written_type(module, right, depth)]  # noqa: UP007
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if hasattr(annotated_types, name):
            return _named_type(module, name, depth)(*(written_type(module, each, depth) for each in args))
        case ast.Subscript(value=value, slice=inner):
            generic = written_type(module, value, depth)
            if generic is Literal:
                return Literal[ast.literal_eval(inner)]
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            made = [... if ast.unparse(each) == "..." else written_type(module, each, depth) for each in parts]
            return generic[tuple(made) if len(made) > 1 else made[0]]
    raise LookupError(ast.unparse(annotation))


def _named_type(module: str, name: str, depth: int) -> Any:
    """The type, or the number, that a name stands for in a module."""
    for node in tree(module).body if depth < DEPTH else ():
        if isinstance(node, ast.ClassDef) and node.name == name:
            raise LookupError(name)
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            return written_type(module, node.value, depth + 1)
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    origin = _absolute(module, node)
                    if origin in TYPES:
                        return vars(TYPES[origin])[alias.name]
                    return _named_type(origin, alias.name, depth + 1)
    return PLAIN[name]


def _absolute(module: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    path = file(module)
    parts = module.split(".")
    package = parts if path is not None and path.name == "__init__.py" else parts[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


@cache
def tree(module: str) -> ast.Module:
    """The syntax tree of a module; an empty one where there is no source."""
    path = file(module)
    try:
        return ast.parse(b"" if path is None else path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.parse("")


def file(module: str) -> Path | None:
    """The source of a module, found as an import would find it, but without importing its parents."""
    first, *rest = module.split(".")
    try:
        spec = find_spec(first) or PathFinder.find_spec(first, [str(Path.cwd())])
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for folder in map(Path, spec.submodule_search_locations or ()):
        place = folder.joinpath(*rest)
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                return file
    return None
