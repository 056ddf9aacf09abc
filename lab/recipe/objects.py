"""Objects, classes and functions as values, such as `{class_path: torch.nn.Flatten, init_args: {start_dim: 2}}`.

What a value names is looked up and compared with the type of the parameter that it is for. Nothing is called before
`construct`, and by then all arguments of what is called have been checked as well.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.errors import BadInput, BadSetting, nearest
from lab.imports import is_standard, load_callable
from lab.keywords import call
from lab.recipe.offers import (
    IN_WORDS,
    RECORDS,
    Offer,
    fitting,
    handles_modules,
    lacking,
    makes,
    offer,
    products,
    takes_itself,
)
from lab.recipe.wording import show

KEYS = ("class_path", "init_args", "partial")
HYDRA = ("_target_", "_partial_")


@dataclass
class Construction:
    """An object that a value describes, not made yet.

    Args:
        target: the class or the function.
        arguments: as the recipe wrote them until they are checked.
        partial: make a `functools.partial` of it.
        inside: the key that its arguments stand under; empty where there is none.
    """

    target: Callable[..., Any]
    arguments: dict[str, Any]
    partial: bool = False
    inside: str = "init_args"


class ConstructionError(Exception):
    """A class or a function raised while `construct` called it; `__cause__` is its own error.

    Args:
        key: the dotted key of the value that describes the object.
        target: what was called.
    """

    def __init__(self, key: str, target: Callable[..., Any]) -> None:
        super().__init__(key)
        self.key, self.target = key, target


def _is_described(value: Any) -> bool:
    """Whether a mapping describes an object, in Hydra's words too."""
    return isinstance(value, dict) and bool(value.keys() & {"class_path", *HYDRA})


def _is_arguments(value: Any) -> bool:
    """Whether a mapping has the arguments of an object whose class the type says."""
    return isinstance(value, dict) and "init_args" in value and value.keys() <= {"init_args", "partial"}


def holds_objects(value: Any) -> bool:
    """Whether an object is described anywhere in a value."""
    if isinstance(value, dict):
        return _is_described(value) or _is_arguments(value) or any(map(holds_objects, value.values()))
    return isinstance(value, list) and any(map(holds_objects, value))


def meant_object(hint: Any, value: Any, in_config: bool) -> Any:
    """The object, the class or the function that a value is meant for; None if for none.

    Args:
        hint: the type of the parameter.
        value: plain data.
        in_config: whether the value lies in a mapping of any content, which may be meant for Hydra.

    Raises:
        BadSetting: it is meant for one that cannot be had.
    """
    wanted = offer(hint)
    if isinstance(value, dict) and "_target_" in value and (in_config or not wanted.objects):
        _check_hydra(value)
        return None
    if (_is_described(value) and (wanted.objects or wanted.names)) or (_is_arguments(value) and wanted.bases):
        return described(hint, value)
    if isinstance(value, str) and wanted.names and re.search("[.:]", value):
        return by_name(hint, value)
    records = [kind for kind in fitting(hint, value) if dataclasses.is_dataclass(kind) and isinstance(kind, type)]
    return Construction(records[0], value, inside="") if len(records) == 1 and isinstance(value, dict) else None


def described(hint: Any, value: dict[Any, Any]) -> Any:
    """Resolves a mapping with `class_path` or `init_args` to a Construction, or to the class or function itself.

    Raises:
        BadSetting: a key is wrong, or the type does not take what it names.
    """
    _check_keys(value)
    wanted = offer(hint)
    arguments, partial = value.get("init_args") or {}, value.get("partial", False)
    target = _load("class_path", value["class_path"]) if "class_path" in value else _only(wanted)
    if not arguments and (partial or not wanted.objects) and not wanted.partial and takes_itself(target, wanted):
        return target
    how = makes(target, wanted, partial)
    if how is None:
        raise BadSetting("class_path", _refusal(target, wanted, partial))
    if not how and (methods := lacking(target)):
        raise BadSetting("class_path", f"{_name(target)} is abstract (it lacks {methods}); name a subclass of it")
    return target if how and not arguments and not wanted.partial else Construction(target, arguments, how)


def _check_hydra(value: dict[Any, Any]) -> None:
    """Checks what a configuration names for Hydra, which a project may make by itself.

    Raises:
        BadSetting: it is of no kind that may be made where no type says so.
    """
    target, partial = _load("_target_", value["_target_"]), bool(value.get("_partial_"))
    if makes(target, Offer(anything=True), partial) is None:
        raise BadSetting("_target_", _refusal(target, Offer(anything=True), partial))


def by_name(hint: Any, path: str) -> Any:
    """The class or function whose dotted name a text is.

    Raises:
        BadSetting: there is none, or the type does not take it.
    """
    wanted, found = offer(hint), _load("", path)
    if takes_itself(found, wanted):
        return found
    is_made = isinstance(found, type) and makes(found, wanted, partial=False) is not None
    advice = f"; for an object of it write {{class_path: {path}}}" if is_made else ""
    raise BadSetting("", f"{path!r} is {_kind(found)}; expected {wanted}{advice}")


def construct(value: Any, key: str = "") -> Any:
    """A value with all its objects made, the innermost first.

    Raises:
        ConstructionError: what was called raised.
    """
    if isinstance(value, dict):
        return {name: construct(each, f"{key}.{name}".lstrip(".")) for name, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(construct(each, f"{key}.{i}") for i, each in enumerate(value))
    if not isinstance(value, Construction):
        return value
    inner = f"{key}.{value.inside}".rstrip(".")
    arguments = {name: construct(each, f"{inner}.{name}") for name, each in value.arguments.items()}
    if value.partial:
        return functools.partial(value.target, **arguments)
    try:
        return make(value.target, arguments)
    except (Exception, SystemExit) as error:  # whatever a stranger's constructor raises
        raise ConstructionError(key, value.target) from error


def make(target: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """The result of a call, which has to be what a function's return type says.

    Raises:
        TypeError: it is something else.
    """
    made = call(target, arguments)
    kinds = tuple(kind for kind in products(target) if not getattr(kind, "_is_protocol", False))
    if kinds and not isinstance(made, kinds):
        raise TypeError(f"it returned a value of type {type(made).__name__}, not {' or '.join(map(_name, kinds))}")
    return made


def _check_keys(value: dict[Any, Any]) -> None:
    for key in value:
        if key in HYDRA:
            arguments = ", init_args: {...}" if value.keys() - set(HYDRA) else ""
            partial = ", partial: true" if value.get("_partial_") else ""
            path = value.get("_target_", "package.Name")
            raise BadSetting(key, f"this is Hydra's syntax; write {{class_path: {path}{arguments}{partial}}}")
        if key not in KEYS:
            close = nearest(str(key), KEYS) or "; arguments stand under `init_args`"
            raise BadSetting(str(key), f"unknown key {key!r}{close}")
    if not isinstance(value.get("init_args"), dict | None):
        raise BadSetting("init_args", f"expected a mapping, found {show(value['init_args'])}")
    if not isinstance(value.get("partial", False), bool):
        raise BadSetting("partial", f"expected true or false, found {show(value['partial'])}")


def _load(key: str, path: Any) -> Callable[..., Any]:
    if not isinstance(path, str):
        raise BadSetting(key, f"expected the dotted name of a class or a function, found {show(path)}")
    if path in RECORDS:
        return RECORDS[path]
    try:
        return load_callable(path)
    except BadInput as error:
        raise BadSetting(key, str(error)) from error


def _only(wanted: Offer) -> type:
    """The one class that a type names."""
    own = [base for base in wanted.bases if not is_standard(base)]
    if len(own) != 1:
        raise BadSetting("class_path", f"missing; expected {wanted}")
    return own[0]


def _refusal(target: Callable[..., Any], wanted: Offer, partial: bool) -> str:
    found, is_class = f"{_name(target)!r} is {_kind(target)}", isinstance(target, type)
    if not is_class and not partial and handles_modules(target):
        return f"{found} that loads, changes or runs modules; name a class, or a function that makes one"
    if not is_class and not partial and not products(target):
        return f"{found} that does not say what it returns; name a class, or add its return type"
    if is_class and wanted.called and not partial and "__call__" not in dir(target):
        return f"{found} whose objects cannot be called; add `partial: true`, or name another class"
    if is_class and takes_itself(target, wanted):
        return f"{found}, which the parameter takes itself; leave out init_args, or add `partial: true`"
    if wanted.anything or (wanted.called and not partial):
        return f"{found}; where no type says so only {IN_WORDS} are made; annotate the parameter with its class"
    return f"{found}; expected {wanted}"


def _name(target: Any) -> str:
    return f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', target)}"


def _kind(target: Any) -> str:
    return "a class" if isinstance(target, type) else "a function"
