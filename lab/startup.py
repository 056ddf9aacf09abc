"""A fast start of `lab`'s processes: libraries import what is asked for, and the garbage collector stays out of it.

`import lightning` imports all of torchmetrics, and that torchvision, scipy.signal and transformers, for metrics that
few trainings compute: half of its time. Other packages are imported for their names alone: Ray and MuJoCo by torchrl,
MLflow's gateway to language models by MLflow itself. `defer` lets the parts of the one kind and the whole of the other
wait until somebody asks for them. Nothing else changes: a name stands for the same object, and what a package would
have done besides is done as soon as something is asked for that its own imports do not explain.
"""

from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_loader
from threading import RLock
from types import ModuleType
from typing import Any

# Packages that mostly hand out names of their modules, with the modules that have to be imported first.
PACKAGES = {"torchmetrics": ("torchmetrics.utilities",), "torchmetrics.functional": ()}
# Packages that others import for their names alone, with those of their modules that do without the rest.
WAITING: dict[str, tuple[str, ...]] = {
    "mlflow.gateway": ("constants",),
    "mujoco": ("mjx",),  # torchrl looks whether it is there
    "ray": (),
}
_frozen = False


def defer() -> None:
    """From now on this process, which is all `lab`'s own, imports these packages as far as they are asked for."""
    if not _deferred():
        sys.meta_path.insert(0, _Finder())


@contextmanager
def importing() -> Iterator[None]:
    """Imports without the garbage collector, which takes a fifth of their time and finds nothing.

    In a process of `lab`'s own, what exists after that is left out of all later collections and of those at the exit,
    which take seconds. So it comes before objects that must be collected, such as a file that is to be written out.
    """
    global _frozen
    enabled, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if _deferred() and len(sys.modules) > known:  # a worker's next job imports nothing, and leaves garbage
            gc.freeze()
            _frozen = True
        if enabled:
            gc.enable()


def imports_are_frozen() -> bool:
    """Whether `importing` has kept imported modules from the garbage collector."""
    return _frozen


def _deferred() -> bool:
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


class _Finder(MetaPathFinder):
    """Finds packages where Python does, and has loaders of this module execute those of the lists."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, part = fullname.rpartition(".")
        if part not in WAITING.get(package, (part,)):  # it may rely on all that its package does
            loader = getattr(sys.modules[package].__spec__, "loader", None)
            if isinstance(loader, _Waiting) and loader.execute() and fullname in sys.modules:
                return spec_from_loader(fullname, _Imported(sys.modules.pop(fullname)))  # else it is imported twice
        kind = _Exports if fullname in PACKAGES else _Waiting if fullname in WAITING else None
        spec = None if kind is None else PathFinder.find_spec(fullname, path, target)
        if kind is not None and spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = kind(fullname, spec.loader.path)
        return spec


class _Waiting(SourceFileLoader):
    """Executes a package when something of it is asked for."""

    module: ModuleType

    def exec_module(self, module: ModuleType) -> None:
        self.module, self.lock, self.state = module, RLock(), "waiting"

        def get(name: str) -> Any:
            if (name.startswith("__") and name not in ("__all__", "__version__")) or not self.execute():
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            return getattr(module, name)

        module.__getattr__ = get  # type: ignore[method-assign]

    def execute(self) -> bool:
        """Executes the package unless that was done; False from within, where it is not complete."""
        with self.lock:
            if self.state == "waiting":
                self.state, get = "executing", self.module.__getattr__
                try:
                    super().exec_module(self.module)
                except BaseException:
                    self.state = "waiting"
                    raise
                self.state = "executed"
                if self.module.__getattr__ is get:  # not one of its own
                    del self.module.__getattr__
            return self.state == "executed"


class _Imported(Loader):
    """Stands for a module that its package has imported meanwhile."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = self.module  # the import returns what lies there


class _Exports(SourceFileLoader):
    """Executes of a package's `__init__` what is neither conditional nor an import of its own parts."""

    def exec_module(self, module: ModuleType) -> None:
        homes, rest = _exports(ast.parse(self.get_data(self.path)), self.name)

        def get(name: str) -> Any:
            if name in homes:
                source, part = homes[name]
                whole = source == self.name  # a module of the package
                found = import_module(f"{source}.{part}") if whole else getattr(import_module(source), part)
                setattr(module, name, found)
                return found
            if name.startswith("__"):  # Python's own questions
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            del module.__getattr__
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
    homes: dict[str, tuple[str, str]] = {}
    for statement in [each for each in rest if isinstance(each, ast.ImportFrom)]:
        source, names = str(statement.module), {each.asname or each.name: each.name for each in statement.names}
        if f"{source}.".startswith(f"{package}.") and used.isdisjoint(names) and "*" not in names:
            homes |= {name: (source, part) for name, part in names.items()}
            rest.remove(statement)
    return homes, ast.Module(rest, [])
