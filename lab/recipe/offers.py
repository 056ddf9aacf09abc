"""The objects, classes and functions that a parameter accepts according to its type."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import types
import typing
from argparse import Namespace
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from typing_extensions import is_typeddict

from lab.imports import is_standard
from lab.keywords import returned
from lab.recipe.types import UNIONS, fits, plain

# Where a type says nothing, a recipe may make objects of these classes: constructing one only builds it.
FAMILIES = (
    "torch.nn.modules.module.Module",
    "torch.optim.optimizer.Optimizer",
    "torch.optim.lr_scheduler.LRScheduler",
    "torch.utils.data.dataset.Dataset",
    "torch.utils.data.sampler.Sampler",
    "torch.distributions.distribution.Distribution",
    "lightning.pytorch.callbacks.callback.Callback",
    "lightning.pytorch.core.datamodule.LightningDataModule",
    "sklearn.base.BaseEstimator",
    "albumentations.core.transforms_interface.BasicTransform",
    "albumentations.core.composition.BaseCompose",
    "omegaconf.basecontainer.BaseContainer",
)
PACKAGES = ("torch.nn.", "torch._C._nn.", "torchmetrics.", "torchvision.transforms.", "torchvision.ops.")
RECORDS: dict[str, type] = {"types.SimpleNamespace": types.SimpleNamespace, "argparse.Namespace": Namespace}
IN_WORDS = (
    "modules, optimizers, schedules, metrics, transforms, data sets, samplers, distributions, callbacks, estimators, "
    "dataclasses and namespaces"
)
_SCALARS = (str, int, float, bool, complex, bytes, type(None))


@dataclass(frozen=True)
class Offer:
    """The objects that a type lets through.

    Args:
        bases: classes of which an object, or a subclass's, may be given.
        classes: classes that may be given themselves, or their subclasses; None where the type takes no classes.
        called: whether it takes what can be called.
        results: what a call of that has to return; empty where the type does not say.
        anything: whether the type says nothing at all.
    """

    bases: tuple[type, ...] = ()
    classes: tuple[type, ...] | None = None
    called: bool = False
    results: tuple[type, ...] = ()
    anything: bool = False

    @property
    def objects(self) -> bool:
        """Whether an object may be given that is no plain value."""
        return bool(self.bases) or self.called or self.anything

    @property
    def names(self) -> bool:
        """Whether a class or a function may be given by its name."""
        return self.classes is not None or self.called

    @property
    def partial(self) -> bool:
        """Whether `functools.partial` is named."""
        return functools.partial in self.bases

    def __str__(self) -> str:
        known = [f"a subclass of {_short(base)}" for base in (*self.bases, *(self.classes or ()))]
        known += ["a class"] if self.classes == () else []
        results = " or ".join(map(_short, self.results))
        known += [f"a class or a function{results and f' that returns {results}'}"] if self.called else []
        return " or ".join(dict.fromkeys(known)) or "a value"


def offer(hint: Any) -> Offer:
    """The values that a type accepts, for all members of a union together."""
    bases: list[type] = []
    classes: list[type] | None = None
    results: list[type] = []
    called = anything = False
    for member in members(hint):
        origin = get_origin(member) or member
        if origin is type:
            classes = [*(classes or ()), *_classes((*get_args(member), Any)[0])]
        elif origin is collections.abc.Callable:
            called = True
            results += _classes((Any, *get_args(member))[-1])
        elif member is Any or member is object or not isinstance(origin, type):
            anything = True
        elif getattr(origin, "_is_protocol", False):
            anything, called = True, called or "__call__" in vars(origin)
        elif is_typeddict(origin):
            continue  # a mapping with these keys, of which there are no objects
        elif origin not in _SCALARS and not (is_standard(origin) and plain(origin) is not None):
            bases.append(origin)
    return Offer(tuple(bases), None if classes is None else tuple(classes), called, tuple(results), anything)


def members(hint: Any) -> list[Any]:
    """The types of a union, without their bounds; of another type itself alone."""
    if get_origin(hint) is Annotated:
        return members(get_args(hint)[0])
    if get_origin(hint) in UNIONS:
        return [each for member in get_args(hint) for each in members(member)]
    if isinstance(hint, typing.TypeVar):
        return members(hint.__bound__ or Any)
    if isinstance(hint, typing.NewType):
        return members(hint.__supertype__)
    return [hint]


def fitting(hint: Any, value: Any) -> list[Any]:
    """The members of a union that a list or a mapping can be meant for; Any for one that takes everything."""
    if not isinstance(value, list | dict):
        return []
    return [member for member in members(hint) if member in (Any, object) or fits(member, value)]


def takes_objects(hint: Any) -> bool:
    """Whether a type, or that of one of its parts, takes more than plain values."""
    wanted = offer(hint)
    if wanted.bases or wanted.names:
        return True
    return any(takes_objects(part) for member in members(hint) for part in get_args(member) if part is not ...)


def products(target: Callable[..., Any]) -> tuple[type, ...]:
    """The classes of what a call returns; empty where that is not known, or where it does more than make one."""
    if isinstance(target, type):
        return (target,)
    if handles_modules(target):
        return ()
    result = returned(target)
    return tuple(_classes(getattr(target, "__self__", Any) if result is typing.Self else result))


def handles_modules(function: Callable[..., Any]) -> bool:
    """Whether a function is one of torch's or Lightning's own, which load, change or run modules, even code in a text.

    Those of `torch.nn` only build.
    """
    home = f"{getattr(function, '__module__', None)}."
    return home.startswith(("torch.", "lightning.")) and not home.startswith("torch.nn.")


def makes(target: Callable[..., Any], wanted: Offer, partial: bool) -> bool | None:
    """The way in which a parameter takes what a recipe describes: a partial (True), a call (False), or none (None).

    Args:
        target: the class or function that the recipe names.
        wanted: what the parameter takes.
        partial: whether the recipe asks for a partial.
    """
    made = products(target)
    fits = bool(made) and all(any(issubclass(each, base) for base in wanted.bases if _says(base)) for each in made)
    if partial:
        handed = ((wanted.called or wanted.partial) and takes_call(target, wanted)) or takes_itself(target, wanted)
        return True if handed or fits or (wanted.anything and is_safe(target)) else None
    if fits:
        return False
    if wanted.called and _returns(made, wanted.results):
        return True  # as LightningCLI reads `Callable[[Iterable], Optimizer]`
    own = isinstance(target, type) or isinstance(getattr(target, "__self__", None), type)
    if not made or not all(is_safe(each) and (own or not _is_record(each)) for each in made):
        return None  # a function that returns a dataclass may do anything before
    like = any(issubclass(each, base) for each in made for base in wanted.bases if not _says(base))
    can_be_called = wanted.called and all("__call__" in dir(each) for each in made)
    return False if wanted.anything or like or can_be_called else None


def takes_itself(target: Callable[..., Any], wanted: Offer) -> bool:
    """Whether a parameter takes the class or the function itself."""
    if isinstance(target, type) and wanted.classes is not None:
        known = any(issubclass(target, base) for base in wanted.classes) if wanted.classes else is_safe(target)
        if known:
            return True
    return wanted.called and takes_call(target, wanted)


def takes_call(target: Callable[..., Any], wanted: Offer) -> bool:
    """Whether a call of it returns what a parameter wants; also if nobody says what it returns."""
    made = products(target)
    return not wanted.results or not made or _returns(made, wanted.results)


def is_safe(found: Any) -> bool:
    """Whether a class or a function may be used where a type says nothing."""
    home = str(getattr(found, "__module__", None))
    if f"{home}.".startswith(PACKAGES) or any(found is record for record in RECORDS.values()):
        return True
    if not isinstance(found, type):
        return home == "torch" and isinstance(found, types.BuiltinFunctionType)
    return _in_family(found) or dataclasses.is_dataclass(found)


def _in_family(kind: type) -> bool:
    return any(f"{base.__module__}.{base.__qualname__}" in FAMILIES for base in kind.__mro__)


def _is_record(kind: type) -> bool:
    """Whether a class is a dataclass and nothing else that a recipe may make."""
    return dataclasses.is_dataclass(kind) and not _in_family(kind)


def lacking(target: Any) -> str:
    """The methods without which a class cannot be made, in words; empty if it can."""
    return ", ".join(sorted(target.__abstractmethods__)) if inspect.isabstract(target) else ""


def _classes(hint: Any) -> list[type]:
    """The classes that a type names; none if it may be anything."""
    found = [get_origin(member) or member for member in members(hint)]
    if any(each in (Any, object) or not isinstance(each, type) for each in found):
        return []
    return [each for each in found if each is not type(None)]


def _returns(made: Iterable[type], results: tuple[type, ...]) -> bool:
    made = tuple(made)
    return bool(made and results) and all(issubclass(each, results) for each in made)


def _says(base: type) -> bool:
    """Whether a base says what its objects do; one of Python's own, such as Iterable, may be anything."""
    return not is_standard(base)


def _short(base: type) -> str:
    return base.__qualname__ if base.__module__ == "builtins" else f"{base.__module__}.{base.__qualname__}"
