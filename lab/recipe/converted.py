"""Values of libraries that plain data can say: tensors, arrays, dtypes, devices, configurations, enums by name."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from enum import Enum
from types import SimpleNamespace
from typing import Any

from lab.errors import error_text
from lab.recipe.offers import members
from lab.recipe.types import plain


def converted(hint: Any, value: Any) -> tuple[Any, str]:
    """The value as one of the types in `hint` that YAML has no word for, and what is wrong with it.

    Returns:
        (None, "") where no type of the hint is of this kind.
    """
    wrong = ""
    for member in members(hint):
        make = _ENUM if _by_name(member) else _MAKERS.get(f"{getattr(member, '__module__', '')}.{_named(member)}")
        if make is None or not isinstance(value, make[0]) or isinstance(value, bool):
            continue
        try:
            return make[1](member, value), ""
        except Exception as error:
            wrong = error_text(error)
    return None, wrong


def _by_name(member: Any) -> bool:
    """Whether it is an enum whose values YAML cannot say."""
    return isinstance(member, type) and issubclass(member, Enum) and bool(len(member)) and plain(member) is None


def _named(member: Any) -> str:
    return getattr(member, "__qualname__", "")


def _enum(kind: Any, value: str) -> Any:
    if value not in kind.__members__:
        raise ValueError(f"expected one of {', '.join(kind.__members__)}, found {value!r}")
    return kind[value]


def _dtype(kind: Any, value: str) -> Any:
    found = getattr(sys.modules["torch"], value.removeprefix("torch."), None)
    if not isinstance(found, kind):
        raise ValueError(f"expected a dtype such as float32, found {value!r}")
    return found


def _namespace(kind: Any, value: dict[str, Any]) -> Any:
    return kind(**value)


_ENUM: tuple[Any, Callable[..., Any]] = (str, _enum)
_NUMBERS = (list, int, float)
_MAKERS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "torch.Tensor": (_NUMBERS, lambda _, value: sys.modules["torch"].tensor(value)),
    "torch.dtype": (str, _dtype),
    "torch.device": (str, lambda kind, value: kind(value)),
    "torch.Size": (list, lambda kind, value: kind(value)),
    "numpy.ndarray": (_NUMBERS, lambda _, value: sys.modules["numpy"].asarray(value)),
    "omegaconf.dictconfig.DictConfig": (dict, lambda kind, value: kind(value)),
    "omegaconf.listconfig.ListConfig": (list, lambda kind, value: kind(value)),
    f"{Namespace.__module__}.Namespace": (dict, _namespace),
    f"{SimpleNamespace.__module__}.SimpleNamespace": (dict, _namespace),
}
