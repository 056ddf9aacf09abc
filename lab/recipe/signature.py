"""A constructor's signature is the schema of what a recipe may give it; nothing is written down twice.

Each value is judged twice by pydantic. Strict JSON says whether it may pass: a list may become a tuple and text a path,
but '3' is not 3 and true is not 1. Python then makes it, because JSON would turn the keys of `{4: 8}` into text.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import json
import math
import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from lab.errors import nearest
from lab.recipe.inherited import constructors
from lab.recipe.renamed import renamed
from lab.recipe.types import UNIONS, adapter, choices, fits, plain
from lab.recipe.wording import bounds, code, show, words

REQUIRED: Any = inspect.Parameter.empty
# complaints of pydantic that already say what a user needs
_TOLD = {"value_error", "assertion_error", "string_pattern_mismatch", "predicate_failed"}
MOST = 20  # complaints about one value: a long list may be wrong all through
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
    target: Callable[..., Any],
    values: Mapping[str, Any],
    *,
    given: Collection[str] = (),
    partial: bool = False,
    within: tuple[str, ...] = (),
) -> tuple[dict[str, Any], list[Complaint]]:
    """The keywords `target` can be called with, and what is wrong with the others as (key, message).

    Args:
        target: a class or a function.
        values: plain data for its keywords.
        given: keywords somebody else supplies: not required here, and wrong if set here.
        partial: do not complain about missing keywords.
        within: the keys of the recipe that these values stand under, by which a renamed one is known.
    """
    keywords, extra = _keywords(target)
    settable = [name for name in keywords if name not in given]
    accepted: dict[str, Any] = {}
    complaints: list[Complaint] = []
    now: set[str] = set()  # keywords that were given under the name they had before
    for name, value in values.items():
        if name in given:
            complaints.append((name, "filled in by lab; a recipe cannot set it"))
        elif name in keywords or (extra and isinstance(name, str)):
            made, wrong = _judge(keywords[name].hint if name in keywords else Any, value, (*within, name))
            complaints += [(".".join(path[len(within) :]), message) for path, message in wrong]
            if not wrong:
                accepted[name] = made
        elif new := renamed(".".join([*within, str(name)]), settable):
            now.add(new)
            complaints.append((str(name), f"unknown key {name!r}; it is called {new!r} now"))
        else:
            close = nearest(str(name), settable) or f"; known keys: {', '.join(settable) or 'none'}"
            complaints.append((str(name), f"unknown key {name!r}{close}"))
    for name in settable:
        if not partial and not {name} & (values.keys() | now) and keywords[name].default is REQUIRED:
            meaning = _meanings(target).get(name, "").rstrip(".")
            complaints.append((name, f"missing; expected {words(keywords[name].hint)}{meaning and f': {meaning}'}"))
    return accepted, complaints


def parameters(target: Callable[..., Any], given: Collection[str] = ()) -> list[Parameter]:
    """Every keyword of `target`, in its order."""
    meanings = _meanings(target)
    return [
        Parameter(name, code(hint), default, bounds(hint), meanings.get(name, ""), name in given)
        for name, (hint, default) in _keywords(target)[0].items()
    ]


def schema(target: Callable[..., Any]) -> dict[str, Any]:
    """The JSON schema of the keywords that a recipe can set, for editors."""
    keywords, extra = _keywords(target)
    meanings = _meanings(target)
    hints = {name: hint for name, keyword in keywords.items() if (hint := plain(keyword.hint)) is not None}
    found, shared = TypeAdapter.json_schemas([(name, "validation", adapter(hint)) for name, hint in hints.items()])
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


def takes(target: Callable[..., Any]) -> tuple[list[str], bool]:
    """The names of its keywords, and whether it takes any others besides."""
    keywords, extra = _keywords(target)
    return list(keywords), extra


def _keywords(target: Callable[..., Any]) -> tuple[dict[str, _Keyword], bool]:
    """The keywords of `target`, and whether it takes `**kwargs` besides.

    Keywords of a parent belong to it where its constructor passes `**kwargs` on; its own ones come first.
    """
    functions, extra = constructors(target)
    found: dict[str, _Keyword] = {}
    for function in functions:
        found = {**found, **{name: keyword for name, keyword in _named(function).items() if name not in found}}
    return found, extra


def _named(target: Callable[..., Any]) -> dict[str, _Keyword]:
    function = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        found = list(inspect.signature(target).parameters.values())
    except ValueError:  # written in C without a signature: it will judge for itself
        return {}
    if function is target and getattr(target, "__name__", "") == "__init__":
        found = found[1:]  # self
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: _Keyword(_hint(p, names), p.default) for p in found if p.kind in named}


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
    """The meaning of each keyword, from the `Args:` of the class, its constructor and their parents."""
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


def _judge(hint: Any, value: Any, path: tuple[str, ...]) -> tuple[Any, list[tuple[tuple[str, ...], str]]]:
    """The value at `path` as the constructor gets it, and what is wrong as (path, message)."""
    if hint is Any:
        return value, []
    expressible = plain(hint)
    if expressible is None or (expressible is type(None) and value is not None):
        return None, [(path, f"cannot be set from a recipe (it takes {code(hint)})")]
    made, errors = _validate(expressible, value)
    if not errors:
        return made, []
    complaints = list(itertools.islice(_explain(expressible, value, path), MOST + 1))
    return None, complaints[:MOST] + [(path, f"more than {MOST} of its values are wrong")] * (len(complaints) > MOST)


def _validate(hint: Any, value: Any) -> tuple[Any, list[ErrorDetails]]:
    judge = adapter(hint)
    try:
        judge.validate_json(json.dumps([value]), strict=True)
        return judge.validate_python([value])[0], []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _explain(hint: Any, value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The innermost complaints about a value that fails."""
    errors = _validate(hint, value)[1]
    if not errors:
        return
    inner = _inner(_meant(hint, value), value, path)
    first = next(inner, (path, _message(hint, value, errors)))
    yield from itertools.chain([first], inner)


def _inner(meant: Any, value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The complaints about the parts of a value."""
    if dataclasses.is_dataclass(meant) and isinstance(meant, type):
        yield from (((*path, key), message) for key, message in check(meant, value, within=path)[1])
    if isinstance(value, dict) and get_args(meant):
        named = ((str(key), text) for key in value for _, text in _explain(get_args(meant)[0], key, ()))
        yield from (((*path, key), f"as a key {text}") for key, text in named)
    for key, child_hint, child in _children(meant, value):
        yield from _explain(child_hint, child, (*path, key))


def _meant(hint: Any, value: Any) -> Any:
    """The one member of a union that a list or a mapping can be meant for."""
    if get_origin(hint) is Annotated:
        return _meant(get_args(hint)[0], value)
    if get_origin(hint) in UNIONS:
        fitting = [m for member in get_args(hint) if fits(m := _meant(member, value), value)]
        return fitting[0] if len(fitting) == 1 else None
    return hint if fits(hint, value) else None


def _children(hint: Any, value: Any) -> list[tuple[str, Any, Any]]:
    """The parts of a list or a mapping as (key, type, value); none where the type does not say."""
    args = get_args(hint)
    if not args:
        return []
    if isinstance(value, dict):
        return [(str(key), args[1], child) for key, child in value.items()]
    hints = args if get_origin(hint) is tuple and args[-1] is not ... else (args[0],) * len(value)
    return [(str(i), *pair) for i, pair in enumerate(zip(hints, value, strict=False))]


def _message(hint: Any, value: Any, errors: list[ErrorDetails]) -> str:
    found = f"found {show(value)}"
    if all(error["type"] in _TOLD for error in errors):
        text = errors[0]["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return f"{text[:1].lower()}{text[1:]}, {found}"
    expected = words(hint)
    if isinstance(value, float) and not math.isfinite(value):
        expected = expected.replace("a number", "a finite number")
    texts = [choice for choice in choices(hint) if isinstance(choice, str)]
    return f"expected {expected}, {found}{nearest(value, texts) if isinstance(value, str) else ''}"
