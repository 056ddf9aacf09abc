"""Hyperparameters as a checkpoint can keep them: plain values and tensors, never a pickled object.

A module may save anything among its hyperparameters. Paths are kept as text and enums by value, as a recipe writes
them; a network, a class or a partial is left out, because the recipe builds it again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from lightning import LightningDataModule, LightningModule

from lab.engine.plain_values import OF_TORCH

_ENTRIES: dict[Any, str] = {LightningModule: "model", LightningDataModule: "data"}
_EXACT = (*OF_TORCH, bytes)


def with_plain_hyperparameters(checkpoint: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The checkpoint with hyperparameters that can be read back, and what was left out, as `model.net (Linear)`."""
    found, lost = dict(checkpoint), []
    for kind, section in _ENTRIES.items():
        key = kind.CHECKPOINT_HYPER_PARAMS_KEY
        if key not in found:
            continue
        found.pop(kind.CHECKPOINT_HYPER_PARAMS_TYPE, None)  # of hyperparameters that are one container of OmegaConf
        kept: dict[Any, Any] = {}
        for name, value in _without_omegaconf(found[key]).items():
            try:
                kept[name] = _plain(value)
            except TypeError:
                lost.append(f"{section}.{name} ({_kind(value)})")
        found[key] = kept
    return found, lost


def _plain(value: Any) -> Any:
    """The value without objects.

    Raises:
        TypeError: it is one, or holds one.
    """
    value = _without_omegaconf(value)
    if isinstance(value, Enum):
        try:
            return _plain(value.value)
        except TypeError:  # of an enum that a recipe names by its members
            return value.name
    if isinstance(value, bytes) and not value:  # which torch does not read
        raise TypeError
    if value is None or isinstance(value, _EXACT):
        return value
    if isinstance(value, PurePath):
        return str(value)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)  # a number of NumPy's as Python's own
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return _plain(value.item())
    if isinstance(value, dict):
        return {_plain(name): _plain(each) for name, each in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        made = [_plain(each) for each in value]
        return made if type(value) is list else tuple(made) if type(value) is tuple else set(made)
    raise TypeError


def _without_omegaconf(value: Any) -> Any:
    """A container of OmegaConf as dictionaries and lists, its interpolations as they are written."""
    if not type(value).__module__.startswith("omegaconf."):
        return value
    return sys.modules["omegaconf"].OmegaConf.to_container(value)


def _kind(value: Any) -> str:
    return f"class {value.__name__}" if isinstance(value, type) else type(value).__name__
