"""Modules and classes as source text: found as an import would find them, and not imported."""

from __future__ import annotations

import ast
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

DEPTH = 12  # parents and re-exports that are followed


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
