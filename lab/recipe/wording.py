"""Types described in words."""

from __future__ import annotations

import collections.abc
import dataclasses
import math
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args, get_origin

from lab.recipe.types import UNIONS, choices, fits, limits

_NOUNS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "null",
    Any: "a value",
}
_BOUNDS = {
    "gt": (">", "above"),
    "ge": (">=", "at least"),
    "lt": ("<", "below"),
    "le": ("<=", "at most"),
    "min_length": ("length >=", "with at least"),
    "max_length": ("length <=", "with at most"),
    "multiple_of": ("multiple of", "divisible by"),
}


def show(value: Any) -> str:
    """A value as YAML writes it, shortened."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else str(value).replace("inf", ".inf")
    named = {None: "null", True: "true", False: "false"}
    text = named[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def bounds(hint: Any) -> str:
    """The values an annotation allows, such as `> 0, <= 1`; empty without one."""
    own = ", ".join(f"{_BOUNDS[name][0]} {bound}" for name, bound in limits(hint).items())
    return own or next((inner for part in get_args(hint) if (inner := bounds(part))), "")


def words(hint: Any) -> str:
    """The values that a type accepts: `a number above 0 and at most 1`, `a list of whole numbers`, `text or null`."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated and get_origin(args[0]) in UNIONS:
        return _either(words(Annotated[(member, *args[1:])]) for member in get_args(args[0]))
    if origin is Annotated:
        return words(args[0]) + _bounded(limits(hint), "character" if args[0] is str else "item")
    if origin in UNIONS:
        return _either(word for member in args for word in _options(member))
    if origin is type or hint is type:
        return f"the dotted name of a class{(args and args[0] is not Any and f' (a {code(args[0])})') or ''}"
    if origin is collections.abc.Callable or hint is collections.abc.Callable:
        return "the dotted name of a function or a class"
    if choices(hint):
        return _either(_options(hint))
    if dataclasses.is_dataclass(hint):
        return f"a mapping with {', '.join(field.name for field in dataclasses.fields(hint))}"
    if fits(hint, {}):
        return "a mapping" + (f" of {words(args[0])} to {words(args[1])}" if args[1:] and args[1] is not Any else "")
    if origin is tuple and args[-1] is not ...:
        return f"a list of {len(args)} ({', '.join(map(words, args))})"
    if fits(hint, []):
        return "a list" + (f" of {_plural(words(args[0]))}" if args and args[0] is not Any else "")
    return _NOUNS.get(hint) or f"a {code(hint)}"


def _options(hint: Any) -> list[str]:
    return [show(choice) for choice in choices(hint)] or [words(hint)]


def _bounded(found: dict[str, Any], unit: str) -> str:
    parts = [f"from {found.pop('ge')} to {found.pop('le')}"] if {"ge", "le"} <= found.keys() else []
    for name, bound in found.items():
        counted = f" {unit}{'s' * (bound != 1)}" if name.endswith("length") else ""
        parts.append(f"{_BOUNDS[name][1]} {bound}{counted}")
    return f" {' and '.join(parts)}" if parts else ""


def _plural(noun: str) -> str:
    return re.sub(
        "^(a whole number|a number|a list|a mapping|text)", lambda found: found[0].removeprefix("a ") + "s", noun
    )


def _either(options: Iterable[str]) -> str:
    known = dict.fromkeys(options)
    *first, last = (word for word in known if word != "a whole number" or "a number" not in known)
    return f"{', '.join(first)} or {last}" if first else last


def code(hint: Any) -> str:
    """A type as Python writes it, without modules and bounds."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return code(args[0])
    if origin in UNIONS:
        return " | ".join(map(code, args))
    if origin is Literal or hint in (None, type(None), ...):
        return " | ".join(map(repr, args)) if args else "..." if hint is ... else "None"
    name = getattr(origin or hint, "__name__", str(hint))
    return f"{name}[{', '.join(map(code, args))}]" if args and name != "Callable" else name
