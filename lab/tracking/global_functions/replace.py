"""Puts other functions in the place of a package's global ones, for as long as a block lasts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
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

    A module that is imported meanwhile takes the others; afterwards it has the package's own.

    Args:
        owner: the package.
        others: what stands for them, by their names.
        inside: whether they are others for the package's own modules as well.
    """
    originals = {name: getattr(owner, name) for name in others}
    functions = {name for name, original in originals.items() if callable(original)}
    inner = f"{owner.__name__}."

    def exchange(present: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        holders = [(owner, name) for name in originals.keys() - functions]
        for module in [each for each in list(sys.modules.values()) if isinstance(each, ModuleType)]:
            attributes = module.__dict__
            if attributes.keys().isdisjoint(functions):  # nearly all: a process has thousands of modules
                continue
            if inside or not module.__name__.startswith(inner):
                names = attributes.keys() & functions
                holders += [(module, name) for name in names if attributes[name] is present[name]]
        for module, name in holders:
            setattr(module, name, new[name])

    exchange(originals, others)
    try:
        yield
    finally:
        exchange(others, originals)


@contextmanager
def replaced_from_import_on(package: str, others: Callable[[], Mapping[str, Any]], inside: bool) -> Iterator[None]:
    """As `replaced`, also for a package that is imported within the block.

    Args:
        package: its name.
        others: asked for as soon as it is imported.
        inside: whether they are others for the package's own modules as well.
    """
    with ExitStack() as stack:

        def replace() -> None:
            stack.enter_context(replaced(sys.modules[package], others(), inside))

        if package in sys.modules:
            replace()
        else:
            finder = _After(package, replace)
            sys.meta_path.insert(0, finder)
            stack.callback(sys.meta_path.remove, finder)
        yield


class _After(MetaPathFinder):
    """Calls back when a package has been imported."""

    def __init__(self, package: str, act: Callable[[], None]) -> None:
        self.package, self.act = package, act
        self.searching = False

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        if fullname != self.package or self.searching:
            return None
        self.searching = True  # the other finders shall find it
        try:
            spec = find_spec(fullname)
        finally:
            self.searching = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self.act()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
