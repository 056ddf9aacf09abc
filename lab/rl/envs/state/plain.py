"""Arrays and simulators as plain values, for `values.py`."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

from lab.errors import LabError

State = dict[str, Any]


class Unstorable(Exception):
    """Something that cannot be kept."""


class Mismatch(LabError):
    """A snapshot does not belong to this kind of environment."""


def class_name(value: Any) -> str:
    return f"{getattr(type(value), '__module__', '')}.{type(value).__qualname__}"


def pack_array(array: np.ndarray) -> State:
    """An array as bytes: torch has no tensors of texts and other things that NumPy has."""
    if array.dtype.hasobject or array.dtype.names:
        raise Unstorable
    order: Literal["F", "C"] = "F" if array.flags.fnc else "C"
    memory = np.frombuffer(array.tobytes(order), np.uint8).copy()
    return {"dtype": array.dtype.str, "shape": array.shape, "order": order, "bytes": torch.from_numpy(memory)}


def unpack_array(saved: State) -> np.ndarray:
    memory = np.frombuffer(saved["bytes"].numpy().tobytes(), saved["dtype"])
    return memory.reshape(saved["shape"], order=saved["order"]).copy(order="A")


def alike(one: Any, other: Any) -> bool:
    """Whether two plain values are the same to the last bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    return repr(one) == repr(other)  # tells 0.0 from -0.0, and not NaN from itself


def is_ordinary(value: Any) -> bool:
    """Whether an object is no more than what its `__dict__` says: nothing written in C, no slots."""
    kind: Any = type(value)
    return (
        kind.__new__ is object.__new__
        and hasattr(value, "__dict__")
        and not any(vars(base).get("__slots__") for base in kind.__mro__)
    )


def is_mujoco_data(value: Any) -> bool:
    return type(value).__name__ == "MjData" and type(value).__module__.partition(".")[0] == "mujoco"


def is_emulator(value: Any) -> bool:
    return class_name(value) == "ale_py._ale_py.ALEInterface"


def pack_mujoco(data: Any) -> State:
    """The memory of an `MjData` that has a fixed size; contacts and constraints are found anew in every step."""
    blank = type(data)(data.model)  # has no contacts: what shows memory here has a fixed place
    arrays, scalars = {}, {}
    for name in dir(blank):
        value = getattr(blank, name) if not name.startswith("_") else None
        if isinstance(value, np.ndarray):
            if value.size and value.base is not None:
                arrays[name] = pack_array(getattr(data, name))
        elif isinstance(value, bool | float) or name.endswith("_awake"):
            scalars[name] = getattr(data, name)
    return {"arrays": arrays, "scalars": scalars}
