"""Further arguments of a class or function that a recipe names: known by its signature, of the type of its default."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from numbers import Real
from typing import Any

from lab.errors import BadSetting, suggestion

# (least, most) where torch leaves it open what makes sense
RANGES: dict[str, tuple[float, float]] = {
    "alpha": (0, 1),
    "dampening": (0, 1),
    "div_factor": (1, math.inf),
    "gamma": (0, 1),
    "history_size": (1, math.inf),
    "max_eval": (1, math.inf),
    "max_iter": (1, math.inf),
    "momentum": (0, 1),
    "pct_start": (0, 1),
    "step_size": (0, 1),
    "tolerance_change": (0, math.inf),
    "tolerance_grad": (0, math.inf),
}
CHOICES: dict[str, tuple[str, ...]] = {"line_search_fn": ("strong_wolfe",)}


def check_arguments(
    setting: str, owner: str, target: Callable[..., Any], values: Mapping[str, Any], elsewhere: Collection[str]
) -> dict[str, Any]:
    """The values as `target` takes them; whole numbers become floats and lists tuples, where its default is one.

    Args:
        setting: the keyword that the values came by, such as `optimizer_args`.
        owner: the name of `target` in a recipe, such as `sgd`.
        target: whose signature is asked.
        values: the arguments by name.
        elsewhere: arguments that cannot be set here.

    Raises:
        BadSetting: an argument is unknown, of another type, or out of its range.
    """
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(target).parameters.items()
        if name not in elsewhere
    }
    found = {}
    for name, value in values.items():
        if name not in known:
            listed = suggestion(str(name), known, "it has")
            raise BadSetting(setting, f"{owner} has no argument {name!r}{listed}")
        found[name] = _judged(setting, name, value, known[name])
    return found


def _judged(setting: str, name: str, value: Any, default: Any) -> Any:
    if name in CHOICES:
        if value is not None and value not in CHOICES[name]:
            raise BadSetting(setting, f"{name}: expected {' or '.join(CHOICES[name])} or null, found {value!r}")
        return value
    if value is None and default is None:
        return None
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise BadSetting(setting, f"{name}: expected true or false, found {value!r}")
        return value
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or len(value) != len(default):
            raise BadSetting(setting, f"{name}: expected a list of {len(default)} numbers, found {value!r}")
        return tuple(float(_number(setting, name, each)) for each in value)
    number = _number(setting, name, value)
    low, high = RANGES.get(name, (-math.inf, math.inf))
    if not low <= number <= high:
        limits = f"at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
        raise BadSetting(setting, f"{name}: expected a number {limits}, found {value!r}")
    if name in ("history_size", "max_eval", "max_iter") and not isinstance(number, int):
        raise BadSetting(setting, f"{name}: expected a whole number, found {value!r}")
    return number


def _number(setting: str, name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise BadSetting(setting, f"{name}: expected a finite number, found {value!r}")
    return value
