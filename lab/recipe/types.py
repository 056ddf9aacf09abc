"""The part of a type that YAML can express, and pydantic's judge of it."""

from __future__ import annotations

import collections.abc
import dataclasses
import math
import types
import typing
from collections.abc import Callable
from enum import Enum
from functools import cache, wraps
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import AfterValidator, ConfigDict, TypeAdapter
from pydantic_core import PydanticCustomError

T = TypeVar("T")
UNIONS = (typing.Union, types.UnionType)
BOUNDS = ("gt", "ge", "lt", "le", "min_length", "max_length", "multiple_of")
_SCALARS = (int, float, bool, str, type(None), Any)
_ONE_SHOT = (collections.abc.Iterable, collections.abc.Iterator, collections.abc.Collection)
_LISTS = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Set)


def plain(hint: Any) -> Any:
    """The part of a type that YAML can express, or None: `str | Strategy` is `str`, `Strategy` is nothing."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal or (origin is None and hint in _SCALARS):
        return hint
    if origin in UNIONS:
        members = [part for member in args if (part := plain(member)) is not None]
        return typing.Union[tuple(members)] if members else None  # noqa: UP007
    if origin is Annotated:
        finite = [AfterValidator(_finite)] if {"gt", "ge", "lt", "le"} & limits(hint).keys() else []
        return None if (base := plain(args[0])) is None else Annotated[(base, *args[1:], *finite)]
    if origin is type or hint is type or origin is collections.abc.Callable:
        return None
    if args:
        members = [part if part is ... else plain(part) for part in args]
        if None in members:
            return None
        hint = (list if origin in _ONE_SHOT else origin)[tuple(members)]
    return hint if _has_schema(hint) else None


def choices(hint: Any) -> list[Any]:
    """The values of a Literal or an Enum, also inside a union; none for other types."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return [member.value for member in hint]
    return [choice for part in get_args(hint) if get_origin(hint) in (Annotated, *UNIONS) for choice in choices(part)]


def limits(hint: Any) -> dict[str, Any]:
    """The bounds in an annotation, whether written as Gt(0), Interval(gt=0) or pydantic's Field(gt=0)."""
    items = [inner for item in getattr(hint, "__metadata__", ()) for inner in (item, *getattr(item, "metadata", ()))]
    return {name: bound for name in BOUNDS for item in items if (bound := getattr(item, name, None)) is not None}


def fits(hint: Any, value: Any) -> bool:
    """Whether a list or a mapping can be meant for this type, whatever it holds."""
    kind = get_origin(hint) or hint
    if not isinstance(kind, type):
        return False
    if isinstance(value, dict):
        return dataclasses.is_dataclass(kind) or issubclass(kind, collections.abc.Mapping)
    return isinstance(value, list) and (kind in _ONE_SHOT or issubclass(kind, _LISTS)) and not issubclass(kind, str)


def _kept(judge: Callable[[Any], T]) -> Callable[[Any], T]:
    """`functools.cache` for types, of which those with metadata that cannot be a key are judged again each time."""
    cached = cache(judge)

    @wraps(judge)
    def kept(hint: Any) -> T:
        try:
            hash(hint)
        except TypeError:
            return judge(hint)
        return cached(hint)

    return kept


@_kept  # building one takes as long as judging a whole recipe with it
def adapter(hint: Any) -> TypeAdapter[list[Any]]:
    """Of a list, because pydantic takes no configuration for a bare dataclass."""
    return TypeAdapter(list[hint], config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))


@_kept
def _has_schema(hint: Any) -> bool:
    try:
        adapter(hint).json_schema()
    except Exception:  # pydantic's own errors, and whatever a foreign type raises
        return False
    return True


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite", "expected a finite number")
    return value
