"""A constructor's signature is the schema of what a recipe may give it; nothing is written down twice.

Each value is judged twice by pydantic. Strict JSON says whether it may pass: a list may become a tuple and text a path,
but '3' is not 3 and true is not 1. Python then makes it, because JSON would turn the keys of `{4: 8}` into text.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import json
import math
import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from lab.errors import nearest

REQUIRED: Any = inspect.Parameter.empty
Complaint = tuple[str, str]


@dataclass(frozen=True)
class Parameter:
    """One keyword of a constructor, as `lab show` prints it.

    Args:
        name: the keyword.
        type: its type, written as in Python.
        default: its default, or `REQUIRED`.
        range: the values its annotation allows, such as `> 0, <= 1`; empty without one.
        meaning: its line in the docstring's `Args:`.
        given: whether somebody else supplies it, so that a recipe may not.
    """

    name: str
    type: str
    default: Any
    range: str
    meaning: str
    given: bool


def check(
    target: Callable[..., Any], values: Mapping[str, Any], *, given: Collection[str] = (), partial: bool = False
) -> tuple[dict[str, Any], list[Complaint]]:
    """The keywords `target` can be called with, and what is wrong with the others as (key, message).

    Args:
        target: a class or a function.
        values: plain data for its keywords.
        given: keywords somebody else supplies: not required here, and wrong if set here.
        partial: do not complain about missing keywords.
    """
    keywords, extra = _keywords(target)
    settable = [name for name in keywords if name not in given]
    accepted: dict[str, Any] = {}
    complaints: list[Complaint] = []
    for name, value in values.items():
        if name in given:
            complaints.append((name, "filled in by lab; a recipe cannot set it"))
        elif name in keywords or (extra and isinstance(name, str)):
            made, wrong = _judge(keywords[name].hint if name in keywords else Any, value)
            complaints += [(".".join([name, *path]), message) for path, message in wrong]
            if not wrong:
                accepted[name] = made
        else:
            close = nearest(str(name), settable) or f"; known keys: {', '.join(settable) or 'none'}"
            complaints.append((str(name), f"unknown key {name!r}{close}"))
    for name in settable:
        if not partial and name not in values and keywords[name].default is REQUIRED:
            meaning = _meanings(target).get(name, "").rstrip(".")
            complaints.append((name, f"missing; expected {_words(keywords[name].hint)}{meaning and f': {meaning}'}"))
    return accepted, complaints


def parameters(target: Callable[..., Any], given: Collection[str] = ()) -> list[Parameter]:
    """Every keyword of `target`, in its order."""
    meanings = _meanings(target)
    return [
        Parameter(name, _code(hint), default, _range(hint), meanings.get(name, ""), name in given)
        for name, (hint, default) in _keywords(target)[0].items()
    ]


def schema(target: Callable[..., Any]) -> dict[str, Any]:
    """The JSON schema of the keywords that a recipe can set, for editors."""
    keywords, extra = _keywords(target)
    meanings = _meanings(target)
    hints = {name: plain for name, keyword in keywords.items() if (plain := _plain(keyword.hint)) is not None}
    found, shared = TypeAdapter.json_schemas([(name, "validation", _adapter(hint)) for name, hint in hints.items()])
    properties = {name: dict(found[name, "validation"]["items"]) for name in hints}
    for name, entry in properties.items():
        if isinstance(keywords[name].default, bool | int | float | str | None):
            entry["default"] = keywords[name].default
        if name in meanings:
            entry["description"] = meanings[name]
    required = [name for name in hints if keywords[name].default is REQUIRED]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": extra, **shared}


# ------------------------------------------------------------------------------------------------ reading a signature


class _Keyword(typing.NamedTuple):
    hint: Any
    default: Any


def _keywords(target: Callable[..., Any]) -> tuple[dict[str, _Keyword], bool]:
    """What `target` can be called with by name, and whether it takes `**kwargs` besides."""
    function = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        found = list(inspect.signature(target).parameters.values())
    except ValueError:  # written in C without a signature: it will judge for itself
        return {}, True
    if function is target and getattr(target, "__name__", "") == "__init__":
        found = found[1:]  # self
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    keywords = {p.name: _Keyword(_hint(p, names), p.default) for p in found if p.kind in named}
    return keywords, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in found)


def _hint(parameter: inspect.Parameter, names: dict[str, Any]) -> Any:
    """The parameter's type, its text resolved on its own so that one unknown name does not cost the others."""
    if parameter.annotation is REQUIRED:
        return Any
    owner = types.SimpleNamespace(__annotations__={"it": parameter.annotation})
    try:
        hint = typing.get_type_hints(owner, names, include_extras=True)["it"]
        return typing.Optional[hint] if parameter.default is None and hint is not Any else hint  # noqa: UP045
    except Exception:  # a name only type checkers import, or no type at all: the constructor will judge for itself
        return Any


def _meanings(target: Callable[..., Any]) -> dict[str, str]:
    """What the `Args:` of the class, its constructor and their parents say about each keyword."""
    owners = (
        [doc for cls in target.__mro__ for doc in (cls, vars(cls).get("__init__"))]
        if isinstance(target, type)
        else [target]
    )
    found: dict[str, str] = {}
    for owner in owners:
        text = inspect.cleandoc(owner.__doc__ or "")
        for section in re.finditer(
            r"^(?:Args|Arguments|Parameters|Keyword Args):[ ]*\n((?:[ ]+\S.*\n?|[ ]*\n)+)", text, re.M
        ):
            body = inspect.cleandoc("\n" + section[1])
            for entry in re.finditer(r"^\**(\w+)(?: *\(.*?\))?:[ ]*(.*(?:\n[ ]+.+)*)", body, re.M):
                found.setdefault(entry[1], " ".join(entry[2].split()))
    return found


# -------------------------------------------------------------------------------------------------- judging one value

_UNIONS = (typing.Union, types.UnionType)
_ONE_SHOT = (collections.abc.Iterable, collections.abc.Iterator, collections.abc.Collection)
_LISTS = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Set)
_TOLD = {"value_error", "assertion_error", "string_pattern_mismatch", "predicate_failed"}


def _judge(hint: Any, value: Any) -> tuple[Any, list[tuple[tuple[str, ...], str]]]:
    """The value as the constructor gets it, and what is wrong as (path inside it, message)."""
    if hint is Any:
        return value, []
    plain = _plain(hint)
    if plain is None or (plain is type(None) and value is not None):
        return None, [((), f"cannot be set from a recipe (it takes {_code(hint)})")]
    made, errors = _validate(plain, value)
    return made, list(_explain(plain, value, ())) if errors else []


def _validate(hint: Any, value: Any) -> tuple[Any, list[ErrorDetails]]:
    adapter = _adapter(hint)
    try:
        adapter.validate_json(json.dumps([value]), strict=True)
        return adapter.validate_python([value])[0], []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _adapter(hint: Any) -> TypeAdapter[list[Any]]:
    """Of a list, because pydantic takes no configuration for a bare dataclass."""
    return TypeAdapter(list[hint], config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))


def _plain(hint: Any) -> Any:
    """The part of a type that YAML can express, or None: `str | Strategy` is `str`, `Strategy` is nothing."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal or (origin is None and hint in (Any, *_NOUNS)):
        return hint
    if origin in _UNIONS:
        members = [plain for member in args if (plain := _plain(member)) is not None]
        return typing.Union[tuple(members)] if members else None  # noqa: UP007
    if origin is Annotated:
        finite = [AfterValidator(_finite)] if {"gt", "ge", "lt", "le"} & _limits(hint).keys() else []
        return None if (base := _plain(args[0])) is None else Annotated[(base, *args[1:], *finite)]
    if origin is type or hint is type or origin is collections.abc.Callable:
        return None
    if args:
        members = [part if part is ... else _plain(part) for part in args]
        if None in members:
            return None
        hint = (list if origin in _ONE_SHOT else origin)[tuple(members)]
    try:
        _adapter(hint).json_schema()
    except Exception:  # pydantic's own errors, and whatever a foreign type raises
        return None
    return hint


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite", "expected a finite number")
    return value


def _explain(hint: Any, value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The innermost complaints about a value that fails."""
    errors = _validate(hint, value)[1]
    if not errors:
        return
    meant = _meant(hint, value)
    inner: list[tuple[tuple[str, ...], str]] = []
    if dataclasses.is_dataclass(meant) and isinstance(meant, type):
        inner = [((*path, key), message) for key, message in check(meant, value)[1]]
    if isinstance(value, dict) and get_args(meant):
        named = ((str(key), text) for key in value for _, text in _explain(get_args(meant)[0], key, ()))
        inner += [((*path, key), f"as a key {text}") for key, text in named]
    for key, child_hint, child in _children(meant, value):
        inner += _explain(child_hint, child, (*path, key))
    yield from inner or [(path, _message(hint, value, errors))]


def _meant(hint: Any, value: Any) -> Any:
    """The one member of a union that a list or a mapping can be meant for."""
    if get_origin(hint) is Annotated:
        return _meant(get_args(hint)[0], value)
    if get_origin(hint) in _UNIONS:
        fitting = [m for member in get_args(hint) if _fits(m := _meant(member, value), value)]
        return fitting[0] if len(fitting) == 1 else None
    return hint if _fits(hint, value) else None


def _fits(hint: Any, value: Any) -> bool:
    kind = get_origin(hint) or hint
    if not isinstance(kind, type):
        return False
    if isinstance(value, dict):
        return dataclasses.is_dataclass(kind) or issubclass(kind, collections.abc.Mapping)
    return isinstance(value, list) and issubclass(kind, _LISTS) and not issubclass(kind, str)


def _children(hint: Any, value: Any) -> list[tuple[str, Any, Any]]:
    """The parts of a list or a mapping as (key, type, value); none where the type does not say."""
    args = get_args(hint)
    if not args:
        return []
    if isinstance(value, dict):
        return [(str(key), args[1], child) for key, child in value.items()]
    hints = args if get_origin(hint) is tuple and args[-1] is not ... else (args[0],) * len(value)
    return [(str(i), *pair) for i, pair in enumerate(zip(hints, value, strict=False))]


# ---------------------------------------------------------------------------------------------- types in plain words

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


def _message(hint: Any, value: Any, errors: list[ErrorDetails]) -> str:
    found = f"found {_show(value)}"
    if all(error["type"] in _TOLD for error in errors):
        text = errors[0]["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return f"{text[:1].lower()}{text[1:]}, {found}"
    expected = _words(hint)
    if isinstance(value, float) and not math.isfinite(value):
        expected = expected.replace("a number", "a finite number")
    choices = [choice for choice in _choices(hint) if isinstance(choice, str)]
    return f"expected {expected}, {found}{nearest(value, choices) if isinstance(value, str) else ''}"


def _show(value: Any) -> str:
    """A value as YAML writes it, shortened."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else str(value).replace("inf", ".inf")
    named = {None: "null", True: "true", False: "false"}
    text = named[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _choices(hint: Any) -> list[Any]:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return [member.value for member in hint]
    return [choice for part in get_args(hint) if get_origin(hint) in (Annotated, *_UNIONS) for choice in _choices(part)]


def _limits(hint: Any) -> dict[str, Any]:
    """The bounds in an annotation, whether written as Gt(0), Interval(gt=0) or pydantic's Field(gt=0)."""
    items = [inner for item in getattr(hint, "__metadata__", ()) for inner in (item, *getattr(item, "metadata", ()))]
    return {name: bound for name in _BOUNDS for item in items if (bound := getattr(item, name, None)) is not None}


def _range(hint: Any) -> str:
    own = ", ".join(f"{_BOUNDS[name][0]} {bound}" for name, bound in _limits(hint).items())
    return own or next((inner for part in get_args(hint) if (inner := _range(part))), "")


def _words(hint: Any) -> str:
    """What a type expects: `a number above 0 and at most 1`, `a list of whole numbers`, `text or null`."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated and get_origin(args[0]) in _UNIONS:
        return _either(_words(Annotated[(member, *args[1:])]) for member in get_args(args[0]))
    if origin is Annotated:
        return _words(args[0]) + _bounded(_limits(hint), "character" if args[0] is str else "item")
    if origin in _UNIONS:
        return _either(word for member in args if _plain(member) is not None for word in _options(member))
    if _choices(hint):
        return _either(_options(hint))
    if dataclasses.is_dataclass(hint):
        return f"a mapping with {', '.join(field.name for field in dataclasses.fields(hint))}"
    if _fits(hint, {}):
        return "a mapping" + (f" of {_words(args[0])} to {_words(args[1])}" if args and args[1] is not Any else "")
    if origin is tuple and args[-1] is not ...:
        return f"a list of {len(args)} ({', '.join(map(_words, args))})"
    if _fits(hint, []):
        return "a list" + (f" of {_plural(_words(args[0]))}" if args and args[0] is not Any else "")
    return _NOUNS.get(hint) or f"a {_code(hint)}"


def _options(hint: Any) -> list[str]:
    return [_show(choice) for choice in _choices(hint)] or [_words(hint)]


def _bounded(limits: dict[str, Any], unit: str) -> str:
    parts = [f"from {limits.pop('ge')} to {limits.pop('le')}"] if {"ge", "le"} <= limits.keys() else []
    for name, bound in limits.items():
        counted = f" {unit}{'s' * (bound != 1)}" if name.endswith("length") else ""
        parts.append(f"{_BOUNDS[name][1]} {bound}{counted}")
    return f" {' and '.join(parts)}" if parts else ""


def _plural(words: str) -> str:
    return re.sub(
        "^(a whole number|a number|a list|a mapping|text)", lambda noun: noun[0].removeprefix("a ") + "s", words
    )


def _either(words: Iterable[str]) -> str:
    known = dict.fromkeys(words)
    *first, last = (word for word in known if word != "a whole number" or "a number" not in known)
    return f"{', '.join(first)} or {last}" if first else last


def _code(hint: Any) -> str:
    """A type as Python writes it, without modules and bounds."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _code(args[0])
    if origin in _UNIONS:
        return " | ".join(map(_code, args))
    if origin is Literal or hint in (None, type(None), ...):
        return " | ".join(map(repr, args)) if args else "..." if hint is ... else "None"
    name = getattr(origin or hint, "__name__", str(hint))
    return f"{name}[{', '.join(map(_code, args))}]" if args and name != "Callable" else name
