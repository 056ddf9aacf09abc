"""Checks of a recipe's keys and values from source text alone, without importing anything that the recipe names."""

from __future__ import annotations

import ast
import re
import typing
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from lab.errors import Problem, suggestion, unknown_task
from lab.recipe.renamed import renamed
from lab.recipe.schema import InlineTask, Recipe
from lab.recipe.source import DEPTH, class_source, tree, written_type

TRAINER = "lightning.pytorch.trainer.trainer:Trainer"
SECTIONS = ("data", "model", "trainer")
ENDS = ("LightningModule", "LightningDataModule", "Module", "ABC", "Generic", "Protocol", "object")  # take no keywords


class Written(NamedTuple):
    """A keyword in the source of the module that its type belongs to.

    Args:
        module: the module.
        argument: its name and its type.
        default: its default's text; None where there is none.
    """

    module: str
    argument: ast.arg
    default: str | None


def unknown_keys(recipe: Recipe, task: str | None) -> Iterator[tuple[str, str]]:
    """The keys of `model`, `data` and `trainer` that no constructor names, as (key, message).

    Args:
        recipe: the recipe.
        task: the task's entry point, `package.module:TASK`; None for one that is written out.
    """
    for section, names in section_keywords(recipe, task).items():
        for key in getattr(recipe, section) if names is not None else ():
            if names is not None and key not in names:
                if new := renamed(f"{section}.{key}", names):
                    yield f"{section}.{key}", f"unknown key {key!r}; it is called {new!r} now"
                else:
                    facts = _facts(recipe, task) if section == "model" else set()
                    known = suggestion(str(key), [name for name in names if name not in facts], "known keys:")
                    yield f"{section}.{key}", f"unknown key {key!r}{known}"


def section_keywords(recipe: Recipe, task: str | None) -> dict[str, tuple[str, ...] | None]:
    """The keys that `model`, `data` and `trainer` may have; None where the source does not say all of them.

    Args:
        recipe: the recipe.
        task: the task's entry point, `package.module:TASK`; None for one that is written out.
    """
    return {section: keywords(path) for section, path in _classes(recipe, task).items()}


def wrong_values(recipe: Recipe, task: str | None) -> Iterator[tuple[str, str]]:
    """The values of `model`, `data` and `trainer` that the types in the source forbid, as (key, message).

    Args:
        recipe: the recipe.
        task: the task's entry point, `package.module:TASK`; None for one that is written out.
    """
    from lab.recipe.signature import check_value  # pydantic takes 0.1 s to import

    paths = _classes(recipe, task)
    facts = keywords(paths["data"]) if "data" in paths else ()  # what both have, the data tell the model
    for section, path in paths.items():
        known = types(path)
        for key, value in getattr(recipe, section).items():
            if key in known and not (section == "model" and key in (facts or ())):
                yield from check_value(known[key], value, (section, key))


def _classes(recipe: Recipe, task: str | None) -> dict[str, str]:
    """The classes that take the values of `model`, `data` and `trainer`, as far as the source says them plainly."""
    paths = {"trainer": TRAINER}
    if isinstance(recipe.task, InlineTask):
        return paths | {key: path for key, path in (("model", recipe.task.module), ("data", recipe.task.data)) if path}
    return paths | ({} if task is None else task_classes(task))


def _facts(recipe: Recipe, task: str | None) -> set[str]:
    """The names in the source of the data's `facts`: its keys, and those that its docstring says, such as `size`."""
    module, _, name = _classes(recipe, task).get("data", "").partition(":")
    nodes = (node for method in _methods(module, name, "facts", 0) for node in ast.walk(method))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {name for text in texts for name in (text, *re.findall(r"`(\w+)`", text))}


def _methods(module: str, owner: str, name: str, depth: int) -> Iterator[ast.FunctionDef]:
    """The methods of that name of a class and its parents."""
    found = class_source(module, owner) if depth < DEPTH else None
    if found is not None:
        yield from (each for each in found[1].body if isinstance(each, ast.FunctionDef) and each.name == name)
        for base in found[1].bases:
            yield from _methods(found[0], ast.unparse(base).partition("[")[0], name, depth + 1)


def without_import(recipe: Recipe, entry: str | None, tasks: Collection[str]) -> list[Problem]:
    """All that is wrong with a recipe as far as it can be told without importing anything that it names.

    Args:
        recipe: the recipe.
        entry: the entry point of its task, `package.module:TASK`; None for one that is written out, or unknown.
        tasks: the names of the installed tasks.
    """
    problems = list(recipe.problems)
    if isinstance(recipe.task, str) and recipe.task and recipe.task not in tasks:
        problems.append(recipe.problem("task", unknown_task(recipe.task, tasks)))
    return problems + [recipe.problem(*each) for each in unknown_keys(recipe, entry)]


def mistyped(recipe: Recipe, task: str | None) -> list[Problem]:
    """Unknown keys, values of a wrong type or range, and what is wrong with the envelope, if that is all overrides.

    Otherwise nothing: the whole check reports it, together with what only the constructors can say of the other values.
    """
    if not recipe.overrides:
        return []
    complaints = [*unknown_keys(recipe, task), *wrong_values(recipe, task)]
    complaints.sort(key=lambda each: SECTIONS.index(each[0].partition(".")[0]))  # as the whole check has them
    found = [*recipe.problems, *(recipe.problem(*each) for each in complaints)]
    return found if {problem.where for problem in found} == {f"override {each}" for each in recipe.overrides} else []


def task_classes(entry: str) -> dict[str, str]:
    """The classes of `TASK = Task(module=..., data=...)`, as far as the source says them plainly."""
    module, _, name = entry.partition(":")
    found: dict[str, str] = {}
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            given = node.value.keywords if isinstance(node.value, ast.Call) else []
            for keyword in given:
                if keyword.arg in ("module", "data") and isinstance(keyword.value, ast.Name):
                    section = "model" if keyword.arg == "module" else "data"
                    found[section] = f"{module}:{keyword.value.id}"
    return found


@cache
def keywords(path: str) -> tuple[str, ...] | None:
    """The keywords of a class, `package.module:Name`; None where its source does not say all of them."""
    found = _written(path)
    return None if found is None else tuple(found)


@cache
def types(path: str) -> Mapping[str, Any]:
    """The types of the keywords of a class, without those of which the source does not say all."""
    found: dict[str, Any] = {}
    for name, (module, argument, default) in (_written(path) or {}).items():
        if argument.annotation is not None:
            with suppress(LookupError, TypeError, ValueError):
                hint = written_type(module, argument.annotation)
                found[name] = typing.Optional[hint] if default == "None" else hint  # noqa: UP045
    return found


@cache
def _written(path: str) -> Mapping[str, Written] | None:
    module, _, name = path.partition(":")
    found = class_source(module, name)
    return None if found is None else _named(*found, 0)


def _named(module: str, owner: ast.ClassDef, depth: int) -> dict[str, Written] | None:
    if depth > DEPTH or owner.decorator_list or owner.keywords:  # a dataclass, a metaclass: other rules
        return None
    init = next((node for node in owner.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"), None)
    if init is None:
        return _of_parents(module, owner, depth)
    decorators = [ast.unparse(each) for each in init.decorator_list]
    if not all(each.endswith("defaults_from_env_vars") for each in decorators):  # the Trainer's, which keeps all names
        return None
    arguments = init.args
    by_position = [*arguments.posonlyargs, *arguments.args]
    defaults = [*[None] * (len(by_position) - len(arguments.defaults)), *arguments.defaults, *arguments.kw_defaults]
    pairs = zip([*by_position, *arguments.kwonlyargs], defaults, strict=True)
    own = {
        each.arg: Written(module, each, None if default is None else ast.unparse(default))
        for each, default in [*pairs][1:]
    }
    if arguments.kwarg is None:
        return own
    above = _of_parents(module, owner, depth)
    if above is None:
        return None
    given = _given_to_parent(init)
    return _first_wins(own, {name: each for name, each in above.items() if name not in given})


def _given_to_parent(init: ast.FunctionDef) -> set[str]:
    """The keywords that `super().__init__(size=3, **kwargs)` says itself, which nobody else can set."""
    calls = [node for node in ast.walk(init) if isinstance(node, ast.Call)]
    parents = [call for call in calls if ast.unparse(call.func) == "super().__init__"]
    return {keyword.arg for call in parents for keyword in call.keywords if keyword.arg is not None}


def _of_parents(module: str, owner: ast.ClassDef, depth: int) -> dict[str, Written] | None:
    found: dict[str, Written] = {}
    for base in owner.bases:
        name = ast.unparse(base).partition("[")[0]
        if name.rpartition(".")[2] in ENDS:
            continue
        parent = None if "." in name else class_source(module, name)
        names = None if parent is None else _named(*parent, depth + 1)
        if names is None:
            return None
        found = _first_wins(found, names)
    return found


def _first_wins(first: dict[str, Written], second: dict[str, Written]) -> dict[str, Written]:
    return first | {name: each for name, each in second.items() if name not in first}
