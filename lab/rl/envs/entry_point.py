"""The constructor behind an environment's name, checked before anybody calls it.

A recipe is data: the name in it may import an installed package or a module of the current folder, and nothing of what
is registered there is called before it is known to be an environment.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from lab.errors import BadInput, BadSetting, closest, nearest, suggestion
from lab.imports import load_class, load_module, load_object
from lab.keywords import REQUIRED, Keyword, keywords
from lab.rl.envs.layers import atari
from lab.rl.envs.layers.team import Team, is_parallel
from lab.rl.envs.pool.pool_env import find_pool, is_pool

KEY = "env_kwargs"  # of the data module
ELSEWHERE = {  # what `gymnasium.make` takes besides: who sets it
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

    `module:Class` needs no registry: it is the environment's class. That of several agents becomes a `Team`.

    Raises:
        BadSetting: there is no such module, or nobody registered that name; its cause is the error of an import.
    """
    module, _, name = env.rpartition(":")
    if is_pool(env):
        return find_pool(name)
    if module:
        import_folder()
        try:
            found: Any = vars(load_module(module, env)).get(name)
        except BadInput as error:
            raise BadSetting("env", str(error)) from error.__cause__
        if isinstance(found, type) and issubclass(found, gym.Env):
            return EnvSpec(name, entry_point=env)
        if is_parallel(found, name):
            return EnvSpec(name, entry_point=partial(Team, found))
    elif env not in gym.registry and not atari.register() and atari.NAMES.match(env):
        raise BadSetting("env", f"{env!r} needs a package that is not installed: pip install 'torch-lab[atari]'")
    if name not in gym.registry:
        raise BadSetting("env", f"no environment {env!r}{_suggestion(module, name)}")
    return gym.registry[name]


def import_folder() -> None:
    """From now on modules of the current folder can be imported."""
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


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
    if is_team(spec):
        return cast("Callable[..., Any]", creator.args[0])
    maker = creator.func if isinstance(creator, partial) else creator
    if isinstance(maker, type):
        if issubclass(maker, gym.Env):
            return cast("Callable[..., Any]", creator)
        kind = f"the class {maker.__module__}.{maker.__qualname__}"
    else:
        module = str(getattr(maker, "__module__", None) or type(maker).__module__)
        if callable(maker) and module.partition(".")[0] not in sys.stdlib_module_names:
            return cast("Callable[..., Any]", creator)
        kind = f"{module}.{maker.__qualname__}" if callable(maker) else repr(maker)
    raise BadSetting("env", f"{env!r} is registered with {kind}; expected a subclass of gymnasium.Env")


def is_team(spec: EnvSpec) -> bool:
    """Whether it is an environment of several agents."""
    return isinstance(spec.entry_point, partial) and spec.entry_point.func is Team


def home(spec: EnvSpec) -> str:
    """The module that an environment is from."""
    point: Any = spec.entry_point
    if isinstance(point, str):
        return point.partition(":")[0]
    return str(getattr(point.args[0] if is_team(spec) else point, "__module__", ""))


def check_owners(given: Mapping[str, Any]) -> None:
    """Refuses keywords of an environment that have a place of their own.

    Raises:
        BadSetting: says which.
    """
    for name, owner in ELSEWHERE.items():
        if name in given:
            raise BadSetting(f"{KEY}.{name}", f"cannot be set here: {owner}")
    if given.get("render_mode") == "human":
        raise BadSetting(f"{KEY}.render_mode", "opens a window for every environment; watch an agent with lab play")


def check_keywords(
    what: str,
    creator: Callable[..., Any],
    given: Mapping[str, Any],
    supplied: Collection[str],
    key: str = KEY,
    more: Mapping[str, Keyword] = MappingProxyType({}),
) -> None:
    """Holds `given` against the signature of what makes an environment or a wrapper, where it has one.

    Args:
        what: its name.
        creator: the class or function.
        given: keywords of a recipe.
        supplied: those that it gets from elsewhere.
        key: of the recipe, under which they stand.
        more: further keywords that can be set there.

    Raises:
        BadSetting: a keyword is unknown, missing or of another type.
    """
    known, is_open = keywords(creator)  # open: only the constructor itself knows what else it takes
    known.update(more)
    for name, value in given.items():
        if name not in known:
            if is_open:
                continue
            raise unknown_keyword(what, name, known, supplied, key)
        hint = known[name].hint
        types, words = PLAIN.get(hint, ((), "")) if isinstance(hint, type) else ((), "")
        is_other = not isinstance(value, types) or (isinstance(value, bool) and hint is not bool)
        if types and value is not None and is_other:
            raise BadSetting(f"{key}.{name}", f"expected {words}, found {value!r}")
    needed = [name for name, each in known.items() if each.default is REQUIRED and name not in {*given, *supplied}]
    if needed:
        example = ", ".join(f"{name}: ..." for name in needed)
        raise BadSetting(key, f"{what!r} needs {', '.join(needed)}; set data.{key}={{{example}}}")


def unknown_keyword(
    what: str, name: str, known: Mapping[str, Any], supplied: Collection[str] = (), key: str = KEY
) -> BadSetting:
    """The error to raise for a keyword that an environment or a wrapper does not have."""
    settable = [keyword for keyword in known if keyword not in supplied and (key != KEY or keyword not in ELSEWHERE)]
    hint = suggestion(name, settable, "known keywords:")
    return BadSetting(f"{key}.{name}", f"unknown keyword {name!r} of {what!r}{hint}")


def _suggestion(module: str, name: str) -> str:
    """The nearest name that is registered, or else what to do in the module."""
    if not module:
        return nearest(name, gym.registry)
    package = module.partition(".")[0]
    own = [each for each, spec in gym.registry.items() if home(spec).partition(".")[0] == package]
    close = closest(_bare(name), map(_bare, own))
    if close is not None:
        return f"; did you mean {next(f'{module}:{each}' for each in own if _bare(each) == close)!r}?"
    classes = [each for each, found in vars(sys.modules.get(module, gym)).items() if _is_env_of(found, module)]
    if hint := nearest(name, classes, f"{module}:"):
        return hint
    if hint := nearest(name, gym.registry, f"{module}:"):  # of a class that is another module's
        return hint
    listed = ", ".join(f"{module}:{each}" for each in own + classes)
    return f"; {module} has {listed or 'no environments'}"


def _is_env_of(found: Any, module: str) -> bool:
    """Whether it is the class of an environment that is defined in this module."""
    return isinstance(found, type) and issubclass(found, gym.Env) and found.__module__ == module


def _bare(name: str) -> str:
    """A name without its namespace and version."""
    return name.rpartition("/")[2].partition("-v")[0]
