"""A constructor's signature is the schema of what a recipe may give it; nothing is written down twice.

Each value is judged twice by pydantic. Strict JSON says whether it may pass: a list may become a tuple and text a path,
but '3' is not 3 and true is not 1. Python then makes it, because JSON would turn the keys of `{4: 8}` into text.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lab.errors import BadSetting, nearest, suggestion
from lab.keywords import REQUIRED, keywords, meanings
from lab.recipe.converted import converted
from lab.recipe.objects import Construction, holds_objects, meant_object
from lab.recipe.offers import fitting, offer, takes_objects
from lab.recipe.renamed import renamed
from lab.recipe.synonyms import VALUES
from lab.recipe.types import UNIONS, adapter, choices, fits, limits, plain
from lab.recipe.wording import bounds, code, other_spelling, show, words

# complaints of pydantic that already say what a user needs
_TOLD = {"value_error", "assertion_error", "string_pattern_mismatch", "predicate_failed"}
MOST = 20  # complaints about one value: a long list may be wrong all through
Complaint = tuple[str, str]
Path = tuple[str, ...]
Judged = tuple[Any, list[tuple[Path, str]]]  # the value as the constructor gets it, and what is wrong with it


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
    within: Path = (),
    objects: bool = False,
) -> tuple[dict[str, Any], list[Complaint]]:
    """The keywords `target` can be called with, and what is wrong with the others as (key, message).

    Args:
        target: a class or a function.
        values: plain data for its keywords.
        given: keywords somebody else supplies: not required here, and wrong if set here.
        partial: do not complain about missing keywords.
        within: the keys of the recipe that these values stand under, by which a renamed one is known.
        objects: take mappings with `class_path` for objects, which `lab.recipe.objects.construct` then makes.
    """
    known, extra = keywords(target)
    settable = [name for name in known if name not in given]
    accepted: dict[str, Any] = {}
    complaints: list[Complaint] = []
    now: set[str] = set()  # keywords that were given under the name they had before
    for name, value in values.items():
        if name in given:
            complaints.append((name, "filled in by lab; a recipe cannot set it"))
        elif name in known or (extra and isinstance(name, str)):
            hint = known[name].hint if name in known else Any
            made, wrong = (_compose if objects else _judge)(hint, value, (*within, name))
            complaints += [(".".join(path[len(within) :]), message) for path, message in wrong]
            if not wrong:
                accepted[name] = made
        elif new := renamed(".".join([*within, str(name)]), settable):
            now.add(new)
            complaints.append((str(name), f"unknown key {name!r}; it is called {new!r} now"))
        else:
            close = suggestion(str(name), settable, "known keys:")
            complaints.append((str(name), f"unknown key {name!r}{close}"))
    for name in settable:
        if not partial and not {name} & (values.keys() | now) and known[name].default is REQUIRED:
            meaning = meanings(target).get(name, "").rstrip(".")
            complaints.append((name, f"missing; expected {words(known[name].hint)}{meaning and f': {meaning}'}"))
    return accepted, complaints


def check_value(hint: Any, value: Any, path: Path) -> list[Complaint]:
    """The problems of a value that may describe objects, as `check` would say them.

    Args:
        hint: the type of the keyword.
        value: plain data.
        path: the keys of the recipe that it stands under.
    """
    return [(".".join(place), message) for place, message in _compose(hint, value, path)[1]]


def parameters(target: Callable[..., Any], given: Collection[str] = ()) -> list[Parameter]:
    """Every keyword of `target`, in its order."""
    meaning = meanings(target)
    return [
        Parameter(name, code(hint), default, bounds(hint), meaning.get(name, ""), name in given)
        for name, (hint, default) in keywords(target)[0].items()
    ]


# ------------------------------------------------------------------------------------------- values that hold objects


def _compose(hint: Any, value: Any, path: Path, in_config: bool = False) -> Judged:
    """As `_judge`, for a value that may describe objects: what it gives may hold a `Construction`.

    Args:
        in_config: whether the value lies in a mapping of any content, which may be meant for Hydra.
    """
    has_objects = holds_objects(value)
    made, complaints = (None, []) if has_objects else _judge(hint, value, path)
    if not has_objects and not complaints:
        return made, []
    try:
        made = meant_object(hint, value, in_config)
    except BadSetting as error:
        return None, [((*path, error.key) if error.key else path, error.message)]
    if made is not None:
        return _with_arguments(made, path)
    made, wrong = converted(hint, value)
    if made is not None:
        return made, []
    if wrong:
        return None, [(path, wrong)]
    kinds = fitting(hint, value) if has_objects or takes_objects(hint) else []
    for kind in kinds:
        made, complaints = _container(hint, kind, value, path, in_config)
        if not complaints:
            break
    if has_objects and not kinds:
        made, complaints = _judge(hint, value, path)
    if [place for place, _ in complaints] == [path] and takes_objects(hint):
        advice = "; an object is written {class_path: ..., init_args: {...}}" if offer(hint).bases else ""
        complaints = [(path, f"expected {words(hint)}, found {show(value)}{advice}")]
    return (None, complaints) if complaints else (made, [])


def _with_arguments(made: Any, path: Path) -> Judged:
    """An object to make, its arguments checked against the signature of its class."""
    if not isinstance(made, Construction):
        return made, []
    inner = (*path, made.inside) if made.inside else path
    made.arguments, wrong = check(made.target, made.arguments, partial=made.partial, within=inner, objects=True)
    return (None if wrong else made), [((*inner, key), message) for key, message in wrong]


def _container(hint: Any, kind: Any, value: Any, path: Path, in_config: bool) -> Judged:
    """A list or a mapping of which some parts may be objects."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    parts = _children(kind, value) or [(str(key), Any, child) for key, child in pairs]
    in_config |= isinstance(value, dict) and get_args(kind)[1:] in ((), (Any,))
    found = [_compose(child_hint, child, (*path, key), in_config) for key, child_hint, child in parts]
    if wrong := [complaint for _, complaints in found for complaint in complaints][:MOST]:
        return None, wrong
    low, high = limits(hint).get("min_length", 0), limits(hint).get("max_length", math.inf)
    if len(parts) != len(value) or not low <= len(value) <= high or (get_origin(kind) is tuple and _short(kind, value)):
        return None, [(path, f"expected {words(hint)}, found {show(value)}")]
    made = [each for each, _ in found]
    if isinstance(value, dict):
        return dict(zip(value, made, strict=True)), []
    return (tuple(made) if (get_origin(kind) or kind) is tuple else made), []


def _short(kind: Any, value: list[Any]) -> bool:
    """Whether a list has fewer parts than a tuple wants."""
    return get_args(kind)[-1] is not ... and len(value) < len(get_args(kind))


# -------------------------------------------------------------------------------------------------- judging one value


def _judge(hint: Any, value: Any, path: Path) -> Judged:
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


def _explain(hint: Any, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The innermost complaints about a value that fails."""
    errors = _validate(hint, value)[1]
    if not errors:
        return
    inner = _inner(_meant(hint, value), value, path)
    first = next(inner, (path, _message(hint, value, errors)))
    yield from itertools.chain([first], inner)


def _inner(meant: Any, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
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
        found = [m for member in get_args(hint) if fits(m := _meant(member, value), value)]
        return found[0] if len(found) == 1 else None
    return hint if fits(hint, value) else None


def _children(hint: Any, value: Any) -> list[tuple[str, Any, Any]]:
    """The parts of a list or a mapping as (key, type, value); none where the type does not say."""
    args = get_args(hint)
    if not args:
        return []
    if isinstance(value, dict):  # a Counter has the type of its keys alone
        return [(str(key), (*args, Any)[1], child) for key, child in value.items()]
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
    if isinstance(value, str) and "a mapping" in expected and (pair := re.fullmatch(r"(\w[\w.-]*)[:=] *(.+)", value)):
        return f"expected {expected}, {found}; write {{{pair[1]}: {pair[2]}}}"
    texts = [choice for choice in choices(hint) if isinstance(choice, str)]
    near = nearest(VALUES.get(value.lower(), value), texts) if isinstance(value, str) else ""
    return f"expected {expected}, {found}{near or other_spelling(expected, value)}"
