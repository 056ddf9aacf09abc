"""Types described in words."""

from __future__ import annotations

import collections.abc
import dataclasses
import math
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args, get_origin

from typing_extensions import is_typeddict

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


def other_spelling(expected: str, value: Any) -> str:
    """The spelling of a number or a list that was written in another way, as `; write 1000000`; empty where it is not.

    Args:
        expected: what there should be, in words.
        value: what there is.
    """
    if expected.startswith("a whole number"):
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            return f"; write {value:.0f}"
        if isinstance(value, str) and re.fullmatch(r"[0-9]+([_,][0-9]{3})+", value):
            return f"; write {re.sub('[_,]', '', value)}"
        if isinstance(value, str) and (found := re.fullmatch(r"([0-9]+)([kKmM])", value)):
            return f"; write {int(found[1]) * (1000 if found[2] in 'kK' else 1_000_000)}"
    number = r"[-+0-9.e]+"
    several = isinstance(value, str) and re.fullmatch(rf"{number}(,\s*{number})+", value) is not None
    if expected.startswith(("a list of numbers", "a list of whole numbers")):
        single = isinstance(value, int | float) and not isinstance(value, bool)
        return f"; write [{value}]" if single or several else ""
    numbers = isinstance(value, list) and len(value) > 1 and all(isinstance(each, int | float) for each in value)
    if expected.startswith(("a number", "a whole number")) and (several or numbers):
        return "; for several values: lab tune STUDY; for several seeds: --seeds N"
    return ""


def bounds(hint: Any) -> str:
    """The values an annotation allows, such as `> 0, <= 1`; empty without one."""
    own = ", ".join(f"{_BOUNDS[name][0]} {bound}" for name, bound in limits(hint).items())
    return own or next((inner for part in get_args(hint) if (inner := bounds(part))), "")


def words(hint: Any) -> str:
    """The values that a type accepts: `a number above 0 and at most 1`, `a list of whole numbers`, `text or null`.

    >>> from lab.rl.envs.wrappers import WrapperSpec
    >>> words(str | WrapperSpec)
    'text or a mapping with class_path, init_args'
    """
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
    if is_typeddict(hint):
        return f"a mapping with {', '.join(hint.__annotations__)}"
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
