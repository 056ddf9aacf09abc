"""Values as a checkpoint can keep them, and back: arrays of NumPy as tensors, paths as text, and the like.

A checkpoint is read without running code from it, so it holds tensors and Python's plain values alone. What a module or
a callback keeps beside them is written as the nearest plain value, which is what others read in the file; `marks`, kept
with it, says what it was.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch

Marks = dict[Any, Any]  # of a container by key or position; under None the kind of the value itself

AS_IS = (type(None), bool, int, float, str)
OF_TORCH = (torch.Tensor, torch.dtype, torch.device, torch.Size)
MAPPINGS: tuple[type, ...] = (dict, OrderedDict, Counter)  # which torch reads
FACTORIES: dict[str, Any] = {"None": None} | {kind.__name__: kind for kind in (int, float, str, list, dict, set)}


def pack(value: Any) -> tuple[Any, Marks]:
    """The value as tensors and plain values, and its marks; the same object where nothing has to be changed.

    Raises:
        TypeError: it is an object of another kind, or holds one.
    """
    kind = type(value)
    if kind in AS_IS or isinstance(value, OF_TORCH) or (kind is bytes and value):
        return value, {}
    if kind is complex:
        return [value.real, value.imag], {None: "complex"}
    if kind in (bytes, bytearray):  # torch reads neither empty bytes nor those that can be changed
        return list(value), {None: kind.__name__}
    if kind is np.ndarray:
        return _array(value)
    if isinstance(value, np.generic):
        plain, _ = pack(value.item())
        return plain, {None: f"number {value.dtype.str}"}
    if isinstance(value, PurePath):
        return str(value), {None: "path"}
    if kind in MAPPINGS or kind is defaultdict:
        return _mapping(value)
    if kind in (list, tuple, set, frozenset, deque):
        return _items(value)
    raise TypeError(kind.__name__)


def unpack(value: Any, marks: Marks) -> Any:
    """The value that `pack` was given."""
    inside = {key: each for key, each in marks.items() if key is not None}
    if inside and isinstance(value, dict):
        value = type(value)({key: unpack(each, inside.get(key, {})) for key, each in value.items()})
    elif inside:
        value = type(value)(unpack(each, inside.get(i, {})) for i, each in enumerate(value))
    what, _, about = str(marks.get(None, "")).partition(" ")
    match what:
        case "complex":
            return complex(*value)
        case "bytes" | "bytearray":
            return bytes(value) if what == "bytes" else bytearray(value)
        case "array":
            there = value.cpu().numpy() if isinstance(value, torch.Tensor) else value
            return np.array(there, np.dtype(about))
        case "number":
            dtype = np.dtype(about)
            return dtype.type(complex(*value) if dtype.kind == "c" else value)
        case "path":
            return Path(value)
        case "defaultdict":
            return defaultdict(FACTORIES[about], value)
        case "frozenset":
            return frozenset(value)
        case "deque":
            return deque(value, None if about == "None" else int(about))
    return value


def _array(value: np.ndarray) -> tuple[Any, Marks]:
    if value.dtype.kind not in "biufcU":
        raise TypeError(f"an array of {value.dtype}")
    marks = {None: f"array {value.dtype.str}"}
    if value.dtype.kind == "U":
        return value.tolist(), marks
    return torch.from_numpy(np.array(value, value.dtype.newbyteorder("="))), marks


def _mapping(value: Any) -> tuple[Any, Marks]:
    packed, marks = {}, {}
    for key, each in value.items():
        name = key.item() if isinstance(key, np.generic) else key  # equal to the key, and found under it
        if type(name) is tuple:
            pack(name)
        elif type(name) not in AS_IS or name is None:
            raise TypeError(type(name).__name__)
        packed[name], mark = pack(each)
        if mark:
            marks[name] = mark
    kind = type(value)
    if kind is defaultdict:
        factory = getattr(value.default_factory, "__name__", "None")
        if FACTORIES.get(factory, object) is not value.default_factory:
            raise TypeError("defaultdict")
        return packed, {**marks, None: f"defaultdict {factory}"}
    same = not marks and all(type(key) in AS_IS or type(key) is tuple for key in value)
    return (value if same and all(packed[key] is value[key] for key in value) else kind(packed)), marks


def _items(value: Any) -> tuple[Any, Marks]:
    found = [pack(each) for each in value]
    packed, marks = [each for each, _ in found], {i: mark for i, (_, mark) in enumerate(found) if mark}
    kind = type(value)
    if kind in (set, frozenset) and marks:  # whose items have no place
        raise TypeError(kind.__name__)
    if kind is frozenset:
        return packed, {None: "frozenset"}
    if kind is deque:
        return packed, {**marks, None: f"deque {value.maxlen}"}
    return (value if all(a is b for a, b in zip(packed, value, strict=True)) else kind(packed)), marks
