"""The constructor behind an environment's name, checked before anybody calls it.

A recipe is data: the name in it may import an installed package or a module of the current folder, and nothing of what
is registered there is called before it is known to be an environment.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from lab.errors import BadInput, BadSetting, closest, nearest, suggestion
from lab.imports import load_class, load_module, load_object
from lab.keywords import REQUIRED, keywords
from lab.rl.envs import atari

KEY = "env_kwargs"  # of the data module
ELSEWHERE = {  # what `gymnasium.make` takes besides: who sets it
    "render_mode": "lab play sets it",
    "max_episode_steps": "set data.episode_steps",
    "disable_env_checker": "every environment is checked while it runs",
}
PLAIN: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "text"),
}


def find_spec(env: str) -> EnvSpec:
    """The registry entry of `env`; `module:Name-v0` imports the module first, also from the current folder.

    Raises:
        BadSetting: there is no such module, or nobody registered that name.
    """
    module, _, name = env.rpartition(":")
    if module:
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        try:
            load_module(module, env)
        except BadInput as error:
            raise BadSetting("env", str(error)) from error
    elif env not in gym.registry and not atari.register() and atari.NAMES.match(env):
        raise BadSetting("env", f"{env!r} needs a package that is not installed: pip install 'torch-lab[atari]'")
    if name not in gym.registry:
        raise BadSetting("env", f"no environment {env!r}{_suggestion(module, name)}")
    return gym.registry[name]


def find_creator(env: str, spec: EnvSpec) -> Callable[..., Any]:
    """The class or function that makes the environment; it is not called.

    Raises:
        BadSetting: it cannot be imported, or is none; its cause is the error of an import.
    """
    try:
        for wrapper in spec.additional_wrappers:
            load_class(wrapper.entry_point, gym.Wrapper)
        creator: Any = load_object(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
    except BadInput as error:
        raise BadSetting("env", f"{env!r} could not be created: {error}") from error.__cause__
    maker = creator.func if isinstance(creator, partial) else creator
    if isinstance(maker, type):
        if issubclass(maker, gym.Env):
            return typing.cast("Callable[..., Any]", creator)
        kind = f"the class {maker.__module__}.{maker.__qualname__}"
    else:
        module = str(getattr(maker, "__module__", None) or type(maker).__module__)
        if callable(maker) and module.partition(".")[0] not in sys.stdlib_module_names:
            return typing.cast("Callable[..., Any]", creator)
        kind = f"{module}.{maker.__qualname__}" if callable(maker) else repr(maker)
    raise BadSetting("env", f"{env!r} is registered with {kind}; expected a subclass of gymnasium.Env")


def check_keywords(
    env: str, creator: Callable[..., Any], given: Mapping[str, Any], registered: Mapping[str, Any]
) -> None:
    """Holds `given` against the signature of what makes the environment, where it has one.

    Args:
        env: name of the environment.
        creator: from `find_creator`.
        given: keywords of a recipe.
        registered: those that were registered with the environment.

    Raises:
        BadSetting: a keyword is unknown, missing or of another type.
    """
    for name, owner in ELSEWHERE.items():
        if name in given:
            raise BadSetting(f"{KEY}.{name}", f"cannot be set here: {owner}")
    known, is_open = keywords(creator)  # open: only the constructor itself knows what else it takes
    for name, value in given.items():
        if name not in known:
            if is_open:
                continue
            raise unknown_keyword(env, name, known)
        hint = known[name].hint
        types, words = PLAIN.get(hint, ((), "")) if isinstance(hint, type) else ((), "")
        is_other = not isinstance(value, types) or (isinstance(value, bool) and hint is not bool)
        if types and value is not None and is_other:
            raise BadSetting(f"{KEY}.{name}", f"expected {words}, found {value!r}")
    needed = [name for name, each in known.items() if each.default is REQUIRED and name not in {*given, *registered}]
    if needed:
        example = ", ".join(f"{name}: ..." for name in needed)
        raise BadSetting(KEY, f"{env!r} needs {', '.join(needed)}; set data.{KEY}={{{example}}}")


def unknown_keyword(env: str, name: str, known: Mapping[str, Any]) -> BadSetting:
    """The error to raise for a keyword that the environment does not have."""
    settable = [keyword for keyword in known if keyword not in ELSEWHERE]
    hint = suggestion(name, settable, "known keywords:")
    return BadSetting(f"{KEY}.{name}", f"unknown keyword {name!r} of {env!r}{hint}")


def _suggestion(module: str, name: str) -> str:
    """The nearest name that is registered, or else what to do in the module."""
    if not module:
        return nearest(name, gym.registry)
    package = module.partition(".")[0]
    own = [each for each, spec in gym.registry.items() if _home(spec).partition(".")[0] == package]
    close = closest(_bare(name), map(_bare, own))
    if close is not None:
        return f"; did you mean {next(f'{module}:{each}' for each in own if _bare(each) == close)!r}?"
    found = vars(sys.modules[module]).get(name)
    if isinstance(found, type) and issubclass(found, gym.Env):
        return f"; {name} is a class: call gymnasium.register({f'{name}-v0'!r}, entry_point={name}) in {module}"
    if hint := nearest(name, gym.registry, f"{module}:"):  # of a class that is another module's
        return hint
    return f"; {module} registers {', '.join(f'{module}:{each}' for each in own) or 'none'}"


def _bare(name: str) -> str:
    """A name without its namespace and version."""
    return name.rpartition("/")[2].partition("-v")[0]


def _home(spec: EnvSpec) -> str:
    """The module that an environment is from."""
    if isinstance(spec.entry_point, str):
        return spec.entry_point.partition(":")[0]
    return str(getattr(spec.entry_point, "__module__", ""))
