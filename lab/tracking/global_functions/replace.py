"""Puts other functions in the place of a package's global ones, for as long as a block lasts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class NoRunYet(RuntimeError):
    """A constructor wants to log, and there is nothing to log into: `lab check` constructs, too."""


def no_run_yet(function: str) -> Callable[..., Any]:
    """Stands for a function that needs a run where there is none.

    Raises:
        NoRunYet: it was called.
    """

    def refused(*_: Any, **__: Any) -> Any:
        raise NoRunYet(f"{function} needs a run, which begins after the constructors: call it in on_fit_start or later")

    return refused


@contextmanager
def replaced(owner: ModuleType, others: Mapping[str, Any], inside: bool) -> Iterator[None]:
    """The attributes of a package are others, also where a module took them by `from package import name`.

    Args:
        owner: the package.
        others: what stands for them, by their names.
        inside: whether they are others for the package's own modules as well.
    """
    originals = {name: getattr(owner, name) for name in others}
    functions = {name for name, original in originals.items() if callable(original)}
    holders = [(owner, name) for name in originals.keys() - functions]
    inner = f"{owner.__name__}."
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType) and (inside or not module.__name__.startswith(inner)):
            attributes = vars(module)
            names = attributes.keys() & functions  # few: a process has thousands of modules
            holders += [(module, name) for name in names if attributes[name] is originals[name]]
    for module, name in holders:
        setattr(module, name, others[name])
    try:
        yield
    finally:
        for module, name in holders:
            setattr(module, name, originals[name])
