"""Every callable of the standard library and of the imported libraries as a recipe's `class_path`: none is called.

Each is tried at every place of a recipe or study that names a class (`places.py`), and as the value of parameters with
and without a type: as an object, as a partial and by its dotted name. `python -m tests.fuzz.class_paths [EVERY]` prints
how many names were tried (each EVERY-th one), which were accepted or would be called, and what reached outside of the
process, such as a command or an open file.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import sys
import tempfile
import types
import typing
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Optional
from unittest.mock import patch

from torch import Tensor, nn
from torch.optim import Optimizer

from lab.keywords import keywords, returned
from lab.recipe.objects import Construction
from lab.recipe.signature import check
from tests.fuzz.places import Places

ACT = {"antigravity", "this", "idlelib", "turtle", "turtledemo", "test", "lib2to3", "__main__"}  # when imported
CHUNK = 1_000  # names of one recipe
OUTSIDE = ("os.system", "os.exec", "os.fork", "os.kill", "os.remove", "os.rename", "subprocess.", "socket.", "urllib.")


def modules() -> Iterator[ModuleType]:
    """Python's own modules, those below them, and every module of a library that a training has imported."""
    for name in sorted(sys.stdlib_module_names - ACT):
        try:
            package = importlib.import_module(name)
        except Exception:
            continue
        yield package
        for inner in pkgutil.iter_modules(getattr(package, "__path__", []), f"{name}."):
            if not {"test", "tests", "__main__", "idle_test"} & set(inner.name.split(".")):
                try:
                    yield importlib.import_module(inner.name)
                except Exception:
                    continue
    yield from [module for name, module in sorted(sys.modules.items()) if isinstance(module, ModuleType)]


def callables() -> dict[str, Any]:
    """`module:Name` and `module:Class.method` of everything that could be called, each under one name."""
    found: dict[int, tuple[str, Any]] = {}
    for module in modules():
        if module.__name__.startswith(("tests.", "__main__")):
            continue
        for name, value in list(vars(module).items()):
            if not callable(value):
                continue
            found.setdefault(id(value), (f"{module.__name__}:{name}", value))
            if isinstance(value, type):
                standard = module.__name__.partition(".")[0] in sys.stdlib_module_names
                for part, inner in list(vars(value).items()):
                    if (standard and callable(inner)) or isinstance(inner, classmethod):
                        found.setdefault(id(inner), (f"{module.__name__}:{name}.{part}", inner))
    return {name: value for name, value in found.values() if all(part.isidentifier() for part in _parts(name))}


def _parts(name: str) -> list[str]:
    return name.replace(":", ".").split(".")


def accepted(names: dict[str, Any], places: Places) -> list[str]:
    """The names that a place took though they are of another kind, and what happened outside meanwhile."""
    seen.clear()
    found = list(places.wrongly_taken(names))
    return [*seen, *found]


def target() -> Callable[..., Any]:
    """A constructor with a parameter of each kind that takes objects."""

    def project(  # type: ignore[no-untyped-def]
        net: nn.Module,
        maybe: Optional[nn.Module],  # noqa: UP045
        named: type[nn.Module],
        kind: type,
        called: Callable,  # type: ignore[type-arg]
        factory: Callable[..., nn.Module],
        transform: Callable[[Tensor], Tensor],
        optimizer: Optimizer,
        anything: Any,
        several: list[nn.Module],
        settings: dict[str, Any],
        unsaid,
        unknown: Nowhere,  # type: ignore[name-defined]  # noqa: F821
        like=nn.MSELoss(),  # noqa: B008
    ): ...

    return project


def spellings(path: str) -> list[Any]:
    """What a recipe could write to have something called."""
    return [
        path,
        {"class_path": path},
        {"class_path": path, "init_args": {"args": ["touch", "x"]}},
        {"class_path": path, "partial": True},
        {"_target_": path, "args": ["touch", "x"]},
    ]


TYPED = {"net": nn.Module, "maybe": nn.Module, "several": nn.Module, "optimizer": Optimizer}
NEVER = ("named", "kind")  # parameters for a class itself: nothing is called


def may_be_made(made: Any, key: str) -> bool:
    """Whether a parameter may have this made: its type's own class, or one of a family where the type names none."""
    from lightning import Callback, LightningDataModule
    from sklearn.base import BaseEstimator
    from torch.distributions import Distribution
    from torch.optim.lr_scheduler import LRScheduler
    from torch.utils.data import Dataset, Sampler

    records = True
    if inspect.isfunction(made) or inspect.ismethod(made):
        home, owner = f"{made.__module__}.", getattr(made, "__self__", None)
        if home.startswith(("torch.", "lightning.")) and not home.startswith("torch.nn."):
            return False  # torch.fx has functions that run code in a text, and return a module
        records = isinstance(owner, type)  # huggingface_hub.delete_file returns a dataclass
        made = owner if returned(made) is typing.Self else returned(made)
        made = made.__bound__ if isinstance(made, typing.TypeVar) else made
        if typing.get_origin(made) in (typing.Union, types.UnionType):
            members = [each for each in typing.get_args(made) if each is not type(None)]
            made = members[0] if len(members) == 1 else made
        made = getattr(made, "__origin__", made)
    if not isinstance(made, type):
        return False
    if key in TYPED:
        return issubclass(made, TYPED[key])
    families = (nn.Module, Optimizer, LRScheduler, Dataset, Sampler, Distribution, Callback, LightningDataModule)
    packages = ("torch.nn.", "torchmetrics.", "torchvision.transforms.", "torchvision.ops.")
    fits = issubclass(made, (*families, BaseEstimator)) or (records and dataclasses.is_dataclass(made))
    return fits or f"{made.__module__}.".startswith(packages)


def called(names: dict[str, Any]) -> list[str]:
    """The names that `construct` would call though their place does not allow it, and what happened outside."""
    project, found = target(), []
    keys = list(inspect.signature(project).parameters)
    assert {key for key, (hint, _) in keywords(project)[0].items() if hint is Any} == {"anything", "unsaid", "unknown"}
    seen.clear()
    for path in names:
        for value in spellings(path):
            wrapped = {"several": [value], "settings": {"a": value}}
            with patch("lab.recipe.signature._with_arguments", lambda made, _: (made, [])):  # any are taken for right
                accepted, _ = check(project, {key: wrapped.get(key, value) for key in keys}, objects=True)
            for key, made in accepted.items():
                inner = made[0] if key == "several" else made["a"] if key == "settings" else made
                if (
                    isinstance(inner, Construction)
                    and not inner.partial
                    and (key in NEVER or not may_be_made(inner.target, key))
                ):
                    found.append(f"{key}: {value}")
    return [*seen, *found]


seen: list[str] = []  # what reached outside of the process


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    writes = event == "open" and isinstance(arguments[1], str) and not set(arguments[1]) <= set("rbt")
    if event.startswith(OUTSIDE) or writes:
        seen.append(f"{event} {arguments}"[:200])


def main(every: int = 1) -> tuple[int, list[str]]:
    """How many names were tried, and those that were accepted without being a callback."""
    import lab.rl.ddpg
    import lab.runner.fit  # noqa: F401 - and with them the libraries

    warnings.simplefilter("ignore")
    names = list(callables().items())[::every]
    bad: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        places = Places(Path(folder))
        sys.addaudithook(_audit)
        for start in range(0, len(names), CHUNK):
            some = dict(names[start : start + CHUNK])
            bad += [*accepted(some, places), *called(some)]
    return len(names), bad


if __name__ == "__main__":
    count, bad = main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    print(f"{count:,} names tried, {len(bad)} accepted or acting: {bad[:20]}")
    sys.exit(bool(bad))
