"""Classes and objects that data names, checked before anybody calls them.

A recipe, a study or a checkpoint is data: naming `subprocess.Popen` in one must not start a process. Importing the
named module is the most that happens here, and a class is handed out only if it is of the kind that its place expects.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Callable
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeVar

from lab.errors import BadInput, nearest, one_line

T = TypeVar("T")


def load_class(path: str, base: type[T]) -> type[T]:
    """The class called `package.module:Name`, which has to be `base` or a subclass of it; it is not called.

    Args:
        path: the name, in either spelling of `load_object`.
        base: the class that its place expects.

    Raises:
        BadInput: there is no such thing, or it is something else.
    """
    found = load_object(path)
    if isinstance(found, type) and issubclass(found, base):
        return found
    kind = f"the class {found.__qualname__}" if isinstance(found, type) else f"of type {type(found).__name__}"
    raise BadInput(f"{path!r} is {kind}; expected a subclass of {_name(base)}{_twin(found, base)}")


def load_callable(path: str) -> Callable[..., Any]:
    """The class or function called `package.module:Name`; it is not called. A class method is bound to its class.

    Raises:
        BadInput: there is no such thing, it is something else, or it is one of Python's own.
    """
    found = load_object(path)
    if isinstance(found, classmethod | staticmethod):
        owner = load_object(re.sub(r"[.]\w+$", "", path))
        found = found.__get__(None, owner)
    kinds = type | types.FunctionType | types.BuiltinFunctionType | types.MethodType
    if not isinstance(found, kinds):
        raise BadInput(f"{path!r} is of type {type(found).__name__}; expected a class or a function")
    if is_standard(found):
        origin = f"{found.__module__}.{found.__qualname__}"
        raise BadInput(f"{path!r} is {origin} of Python's standard library; name one from a package or your own code")
    return found


def is_standard(found: Any) -> bool:
    """Whether a class or a function is one of Python's own, wherever it was found."""
    home = getattr(found, "__module__", None) or type(getattr(found, "__self__", None)).__module__
    return str(home).partition(".")[0] in sys.stdlib_module_names


def load_object(path: str) -> Any:
    """The object called `package.module:Name`, or `package.module.Name` in Lightning's spelling; it is not called.

    Raises:
        BadInput: saying which half failed, or that the module is one of Python's own.
    """
    module_name, name = path.split(":", 1) if ":" in path else path.rpartition(".")[::2]
    if not re.fullmatch(r"\w+(\.\w+)*", name):
        raise BadInput(f"expected `package.module:Name`, found {path!r}")
    outer, _, last = module_name.rpartition(".")
    if ":" not in path and isinstance(getattr(sys.modules.get(outer), last, None), type):
        module_name, name = outer, f"{last}.{name}"  # `package.module.Name.method`
    found: Any = load_module(module_name, path)
    for part in name.split("."):
        try:
            found = _attribute(found, part)
        except Exception as error:  # a module's own `__getattr__` may raise anything
            reason = "" if isinstance(error, AttributeError) else f": {one_line(error)}"
            raise BadInput(f"module {module_name!r} has no {name!r}{reason}{nearest(part, _names(found))}") from error
    return found


def load_module(module_name: str, path: str) -> ModuleType:
    """The module, imported; of Python's own ones and of scripts none is.

    Args:
        module_name: its dotted name.
        path: the whole of what was named, for the message.

    Raises:
        BadInput: there is no such module, its import fails, or it may not be imported.
    """
    if module_name.endswith(".py"):
        dotted = module_name.removesuffix(".py").removeprefix("./").replace("/", ".")
        raise BadInput(
            f"expected a module, found the file {module_name!r}; write {dotted}{path.removeprefix(module_name)}"
        )
    if not re.fullmatch(r"\w+(\.\w+)*", module_name):
        raise BadInput(f"expected `package.module:Name`, found {path!r}")
    parts = module_name.split(".")
    if parts[0] in sys.stdlib_module_names:  # some of them act when they are imported
        raise BadInput(f"{path!r} is in Python's standard library; name a class from a package or your own code")
    if parts[-1] == "__main__":
        raise BadInput(f"{path!r} is in a script, whose import would run it; name a class in a module")
    take_twins()
    try:
        return import_module(module_name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
            raise BadInput(f"no module {error.name!r} (for {path!r}); is it installed, or on PYTHONPATH?") from error
        raise BadInput(f"importing {module_name!r} failed: {one_line(error)}") from error


# ------------------------------------------------------------------------------------------- one Lightning of two names

TWINS = {"pytorch_lightning": "lightning.pytorch", "lightning_fabric": "lightning.fabric"}


class _Twin(MetaPathFinder, Loader):
    """Imports Lightning under its older name: `pytorch_lightning.callbacks` is `lightning.pytorch.callbacks`.

    Both packages have the same files, and yet a class of one is none of the other's, so a project that is written for
    the older could not be trained by the newer.
    """

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        top, _, rest = fullname.partition(".")
        if top not in TWINS:
            return None
        same = ".".join(part for part in (TWINS[top], rest) if part)
        try:
            found = find_spec(same)
        except ModuleNotFoundError:
            found = None
        return ModuleSpec(fullname, self, origin=same, is_package=True) if found else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        assert spec.origin is not None
        module = import_module(spec.origin)
        self.own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own  # the import system has just overwritten it


def take_twins() -> None:
    """From now on `import pytorch_lightning` gives `lightning.pytorch`, unless it was imported before."""
    if not TWINS.keys() & sys.modules.keys() and not any(isinstance(finder, _Twin) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Twin())


# --------------------------------------------------------------------------------------------------- parts of a module


def _attribute(owner: Any, name: str) -> Any:
    """A part of a module or of a class; of a class without running its descriptors, of anything else nothing.

    Raises:
        AttributeError: there is none.
    """
    if isinstance(owner, ModuleType):
        return getattr(owner, name)
    if isinstance(owner, type):
        return inspect.getattr_static(owner, name)
    raise AttributeError(name)


def _names(owner: Any) -> list[str]:
    return dir(owner) if isinstance(owner, ModuleType | type) else []


def _name(base: type) -> str:
    return f"{base.__module__.partition('.')[0]}.{base.__qualname__}"


def _twin(found: Any, base: type) -> str:
    """The next step for a class that descends from one of the same name in another package."""
    twins = [cls for cls in getattr(found, "__mro__", ()) if cls.__qualname__ == base.__qualname__]
    return f"; it descends from {_name(twins[0])}, so import {base.__qualname__} from {_package(base)}" if twins else ""


def _package(base: type) -> str:
    return base.__module__.partition(".")[0]
