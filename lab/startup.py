"""How a process of `lab` starts soon: libraries import what is asked for, and the garbage collector stays out of it.

`import lightning` imports all of torchmetrics, and that torchvision, scipy.signal and transformers, for metrics that
few trainings compute; `import mlflow` imports its part for language models. `defer` lets them wait until somebody uses
one of their names. Nobody sees a difference: a name stands for the same object, and what the package would have done
besides is done as soon as something is asked for that its own imports do not explain.
"""

from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

# Packages that mostly hand out names of their modules, with the modules that have to be imported first.
PACKAGES = {"torchmetrics": ("torchmetrics.utilities",), "torchmetrics.functional": ()}


def defer() -> None:
    """From now on this process imports the parts of `PACKAGES`, and `MODULES`, when they are asked for."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


@contextmanager
def importing() -> Iterator[None]:
    """Imports without the garbage collector, which takes a fifth of their time and finds nothing.

    In a process that called `defer`, what exists at the end of the block is left out of all later collections, and of
    those at the exit, which take seconds. So it has to come before objects that must be collected, such as a file that
    is to be written out.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if any(isinstance(finder, _Finder) for finder in sys.meta_path):
            gc.freeze()
        if enabled:
            gc.enable()


class _Finder(MetaPathFinder):
    """Finds modules where Python does, and lets those of the lists be executed later."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in PACKAGES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            loader = spec.loader
            spec.loader = _Exports(fullname, loader.path)
        return spec


class _Exports(SourceFileLoader):
    """Executes of a package's `__init__` what is neither conditional nor an import of its own parts."""

    def exec_module(self, module: ModuleType) -> None:
        homes, rest = _exports(ast.parse(self.get_data(self.path)), self.name)

        def get(name: str) -> Any:
            if name in homes:
                source, part = homes[name]
                found = import_module(f"{source}.{part}") if source == self.name else getattr(import_module(source), part)
                setattr(module, name, found)
                return found
            if name.startswith("__"):  # Python's own questions
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            del module.__getattr__  # type: ignore[attr-defined]
            SourceFileLoader.exec_module(self, module)
            return getattr(module, name)

        module.__getattr__ = get  # type: ignore[method-assign]
        exec(compile(rest, self.path, "exec"), vars(module))
        for part in PACKAGES[self.name]:
            import_module(part)


def _exports(tree: ast.Module, package: str) -> tuple[dict[str, tuple[str, str]], ast.Module]:
    """Names that an `__init__` only hands out, each with its module and its name there; and what to execute at once."""
    rest = [each for each in tree.body if not isinstance(each, ast.If)]
    used = {node.id for each in rest for node in ast.walk(each) if isinstance(node, ast.Name)}
    homes = {}
    for statement in [each for each in rest if isinstance(each, ast.ImportFrom)]:
        source, names = str(statement.module), {each.asname or each.name: each.name for each in statement.names}
        if f"{source}.".startswith(f"{package}.") and used.isdisjoint(names) and "*" not in names:
            homes |= {name: (source, part) for name, part in names.items()}
            rest.remove(statement)
    return homes, ast.Module(rest, [])
