"""The keywords of a class or a function: their types, defaults and meanings, as its signature and docstring say."""

from __future__ import annotations

import ast
import collections.abc
import functools
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from typing import Any, get_origin

REQUIRED: Any = inspect.Parameter.empty
_BY_NAME = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


class Keyword(typing.NamedTuple):
    """One keyword.

    Args:
        hint: its type; Any where there is none, or none that can be found out.
        default: its default, or `REQUIRED`.
    """

    hint: Any
    default: Any


def takes(target: Callable[..., Any]) -> tuple[list[str], bool]:
    """The names of its keywords, and whether it takes any others besides."""
    found, extra = keywords(target)
    return list(found), extra


def keywords(target: Callable[..., Any]) -> tuple[dict[str, Keyword], bool]:
    """The keywords of `target`, and whether it takes `**kwargs` besides.

    Keywords of a parent belong to it where its constructor passes `**kwargs` on; its own ones come first. Parameters
    that are positional only count as keywords, and `*layers` does where there are no `**kwargs`: `call` sorts them out.
    """
    functions, extra = _constructors(target)
    found: dict[str, Keyword] = {}
    given: set[str] = set()
    taken: set[str] = set()
    for function, passed in functions:
        new = {name: each for name, each in _named(function).items() if name not in found and name not in given}
        found |= {name: each._replace(default=None) if name in taken else each for name, each in new.items()}
        if passed is not None:
            given |= passed.names | {each.name for each in _signature(passed.to)[1 : passed.positional + 1]}
            taken |= passed.taken
    return found | {name: Keyword(Any, None) for name in sorted(taken - found.keys())}, extra


def call(target: Callable[..., Any], values: dict[str, Any]) -> Any:
    """The result of `target` with these keywords, those by position where it takes them by no other way."""
    positional: list[Any] = []
    named = dict(values)
    signature = _signature(target)
    several = next((p.name for p in signature if p.kind is p.VAR_POSITIONAL and p.name in _open_ended(signature)), None)
    for parameter in signature:
        before = several in named and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        if parameter.kind is parameter.POSITIONAL_ONLY or before:
            if parameter.name not in named and parameter.default is REQUIRED:
                break  # the call will say that it is missing
            positional.append(named.pop(parameter.name, parameter.default))
        elif parameter.name == several:
            positional.extend(named.pop(several, ()))
    return target(*positional, **named)


def meanings(target: Callable[..., Any]) -> dict[str, str]:
    """The meaning of each keyword, from the `Args:` of the class, its constructor and their parents."""
    owners = (
        [doc for cls in target.__mro__ for doc in (cls, vars(cls).get("__init__"))]
        if isinstance(target, type)
        else [target]
    )
    found: dict[str, str] = {}
    for owner in owners:
        text = inspect.cleandoc(owner.__doc__ or "")
        for section in re.finditer(
            r"^(?:Args|Arguments|Parameters|Keyword Args):[ ]*\n((?:[ ]+\S.*\n?|[ ]*\n)+)", text, re.M
        ):
            body = inspect.cleandoc("\n" + section[1])
            for entry in re.finditer(r"^\**(\w+)(?: *\(.*?\))?:[ ]*(.*(?:\n[ ]+.+)*)", body, re.M):
                found.setdefault(entry[1], " ".join(entry[2].split()))
    return found


def returned(function: Callable[..., Any]) -> Any:
    """The type that a function says it returns; Any where it says none, or none that can be found out."""
    annotation = getattr(function, "__annotations__", {}).get("return", REQUIRED)
    return Any if annotation is REQUIRED else _resolved(annotation, inspect.unwrap(function))


# ---------------------------------------------------------------------------------------- keywords that are passed on


class _Passed(typing.NamedTuple):
    """A constructor's call of its parent's, beside its `**kwargs`.

    Args:
        to: the parent's.
        positional: how many arguments by position.
        names: those by name.
        taken: names that it reads out of its `**kwargs` itself, such as `kwargs.pop("width", 3)`.
    """

    to: Callable[..., Any]
    positional: int
    names: set[str]
    taken: set[str]


def _constructors(target: Callable[..., Any]) -> tuple[list[tuple[Callable[..., Any], _Passed | None]], bool]:
    """The functions that the keywords of `target` reach, and whether it takes keywords that none of them names.

    These are the target itself, and after it each parent's `__init__` that the one before passes its `**kwargs` on to,
    each with what it passes on in turn.
    """
    kinds = target.__mro__ if isinstance(target, type) else ()
    own = [vars(kind)["__init__"] for kind in kinds if "__init__" in vars(kind)]
    found: list[tuple[Callable[..., Any], _Passed | None]] = []
    reached = target
    for function, parent in pairwise(own):
        passed = _passed_on(function, parent) if inspect.isfunction(function) else None
        if passed is None:
            break
        found.append((reached, passed))
        reached = parent
    return [*found, (reached, None)], _open(reached)


def _open(function: Callable[..., Any]) -> bool:
    """Whether it takes `**kwargs`."""
    try:
        return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
    except (ValueError, TypeError):  # written in C without a signature, or with a made-up one
        return True


@functools.cache
def _passed_on(function: Callable[..., Any], parent: Callable[..., Any]) -> _Passed | None:
    """The call that a constructor passes its `**kwargs` to, as its source says; None if they go nowhere."""
    if not _open(function):
        return None
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):  # made at run time
        return None
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef) or definition.args.kwarg is None:
        return None
    name = definition.args.kwarg.arg
    nodes = list(ast.walk(definition))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    reads = [node.args[0] for node in calls if node.args and ast.unparse(node.func).startswith(f"{name}.")]
    reads += [node.slice for node in nodes if isinstance(node, ast.Subscript) and ast.unparse(node.value) == name]
    taken = {each.value for each in reads if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    for node in calls:
        called = ast.unparse(node.func)
        if called.endswith(".__init__") and any(k.arg is None and ast.unparse(k.value) == name for k in node.keywords):
            plain = [each for each in node.args if not isinstance(each, ast.Starred)]
            count = len(plain) - (not called.startswith("super("))  # `Parent.__init__(self, ...)`
            return _Passed(parent, max(count, 0), {key.arg for key in node.keywords if key.arg is not None}, taken)
    return None


# ------------------------------------------------------------------------------------------------ reading a signature


def _signature(target: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(target).parameters.values())
    except (ValueError, TypeError):  # written in C without a signature, or with a made-up one: it will judge for itself
        return []


def _open_ended(signature: list[inspect.Parameter]) -> set[str]:
    """The name of `*layers`, unless `**kwargs` stand beside it: then both pass on what a parent takes."""
    if any(p.kind is p.VAR_KEYWORD for p in signature):
        return set()
    return {p.name for p in signature if p.kind is p.VAR_POSITIONAL}


def _named(target: Callable[..., Any]) -> dict[str, Keyword]:
    function = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    found = _signature(target)
    if function is target and getattr(target, "__name__", "") == "__init__":
        found = found[1:]  # self
    several = _open_ended(found)
    one = {p.name: Keyword(_hint(p, function), p.default) for p in found if p.kind in _BY_NAME or p.name in several}
    return {
        name: Keyword(types.GenericAlias(tuple, (each.hint, ...)), ()) if name in several else each
        for name, each in one.items()
    }


def _hint(parameter: inspect.Parameter, function: Callable[..., Any]) -> Any:
    """The parameter's type; where it has none, that of a default which is an object says what else may stand there."""
    if parameter.annotation is REQUIRED:
        return typing.Union[Any, like] if (like := _like(parameter.default)) is not None else Any  # noqa: UP007
    hint = _resolved(parameter.annotation, inspect.unwrap(function))
    if parameter.default is not None or hint is Any:
        return hint
    try:
        return typing.Optional[hint]  # noqa: UP045
    except TypeError:
        return Any


def _like(default: Any) -> Any:
    """The type of a default that is a class, a function or an object of a library's; None for plain ones."""
    if isinstance(default, type):
        return type[default] if default is not REQUIRED else None
    if isinstance(default, types.FunctionType | types.BuiltinFunctionType | functools.partial):
        return collections.abc.Callable
    return None if type(default).__module__.partition(".")[0] in sys.stdlib_module_names else type(default)


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    """A type, its text resolved on its own so that one unknown name does not cost the others; else Any."""
    names = dict(getattr(function, "__globals__", {}))
    owner = types.SimpleNamespace(__annotations__={"it": annotation})
    for _ in range(10):  # names that are imported for type checkers alone
        try:
            return _a_type(typing.get_type_hints(owner, names, include_extras=True)["it"])
        except NameError as error:
            if error.name is None or error.name in names or (found := _typing_only(function, error.name)) is None:
                return Any
            names[error.name] = found
        except Exception:  # no type at all: the constructor will judge for itself
            return Any
    return Any


def _a_type(hint: Any) -> Any:
    """The hint, or Any for what some write in its place: a module, a function, a tuple of types."""
    if hint is callable:
        return collections.abc.Callable
    fine = isinstance(hint, type) or get_origin(hint) is not None or type(hint).__module__ in ("typing", "types")
    return hint if fine and not isinstance(hint, types.ModuleType | types.FunctionType) else Any


def _typing_only(function: Callable[..., Any], name: str) -> Any:
    """The object that the function's module imports under that name `if TYPE_CHECKING`; None if there is none."""
    place = _typing_imports(getattr(function, "__module__", "")).get(name)
    if place is None:
        return None
    module, attribute = place
    try:
        found = import_module(module)
        if attribute and not hasattr(found, attribute):
            return import_module(f"{module}.{attribute}")
        return getattr(found, attribute) if attribute else found
    except Exception:
        return None


@functools.cache
def _typing_imports(module: str) -> dict[str, tuple[str, str]]:
    """The imports of a module that only type checkers see: name -> (module, attribute)."""
    owner = sys.modules.get(module)
    try:
        tree = ast.parse(inspect.getsource(owner)) if owner is not None else ast.Module([], [])
    except (OSError, SyntaxError, TypeError):
        return {}
    package = getattr(owner, "__package__", None) or ""
    found: dict[str, tuple[str, str]] = {}
    for branch in ast.walk(tree):
        if not (isinstance(branch, ast.If) and ast.unparse(branch.test).endswith("TYPE_CHECKING")):
            continue
        for node in (inner for statement in branch.body for inner in ast.walk(statement)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.partition(".")[0]] = (
                        (alias.name, "") if alias.asname else (alias.name.partition(".")[0], "")
                    )
            elif isinstance(node, ast.ImportFrom):
                base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
                source = ".".join(part for part in (base, node.module) if part)
                found |= {alias.asname or alias.name: (source, alias.name) for alias in node.names}
    return found
