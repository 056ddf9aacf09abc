"""Wrappers that a recipe puts around an environment, each checked to be one before it is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NotRequired

import gymnasium as gym
from typing_extensions import TypedDict  # pydantic reads none of Python 3.11's own

from lab.errors import BadInput, BadSetting, nearest, one_line, suggestion
from lab.imports import load_class
from lab.keywords import keywords
from lab.rl.envs.entry_point import check_keywords, import_folder
from lab.rl.envs.state import snapshot

KEY = "wrappers"  # of the data module
REFUSED = {  # what has a counterpart that is right, and which that is
    gym.wrappers.NormalizeObservation: (
        "each environment would have statistics of its own, evaluation's too; set model.normalize_observations=true"
    ),
    gym.wrappers.Autoreset: "environments are reset by lab; leave it out",
}


class WrapperSpec(TypedDict):
    """A wrapper and its keywords.

    >>> WrapperSpec(class_path="FrameStackObservation", init_args={"stack_size": 4})
    {'class_path': 'FrameStackObservation', 'init_args': {'stack_size': 4}}

    Args:
        class_path: a class of `gymnasium.wrappers`, or `module:Class`.
        init_args: its keywords.
    """

    class_path: str
    init_args: NotRequired[dict[str, Any]]


Wrappers = Sequence[str | WrapperSpec]


class Layer(NamedTuple):
    """A wrapper that may be called: its place in the list, its name there, class and keywords."""

    place: int
    name: str
    kind: type[gym.Wrapper[Any, Any, Any, Any]]
    init_args: dict[str, Any]


def find(wrappers: Wrappers) -> list[Layer]:
    """The classes that `wrappers` name; none is called.

    >>> [layer.kind.__name__ for layer in find(["FlattenObservation"])]
    ['FlattenObservation']

    Raises:
        BadSetting: there is no such class, it is none for a wrapper, or has no such keyword.
    """
    return [_find(index, item) for index, item in enumerate(wrappers)]


def wrap(env: gym.Env[Any, Any], name: str, layers: Sequence[Layer]) -> gym.Env[Any, Any]:
    """`env` with the wrappers around it, the first one innermost.

    Raises:
        BadSetting: a wrapper refuses the environment.
    """
    for layer in layers:
        try:
            env = layer.kind(env, **layer.init_args)
        except (Exception, SystemExit) as error:
            raise BadSetting(
                f"{KEY}.{layer.place}", f"{layer.name} cannot be put around {name!r}: {one_line(error)}"
            ) from error
    return env


def check_state(env: gym.Env[Any, Any], wrappers: Wrappers) -> None:
    """Refuses a wrapper around `env`, which is reset for it, whose state no checkpoint could hold.

    Raises:
        BadSetting: a resumed run would differ from one that was never interrupted; names the attribute.
    """
    if not wrappers:
        return
    env.reset(seed=0)
    kinds: dict[type, Layer] = {layer.kind: layer for layer in find(wrappers)}
    for wrapper, attribute in snapshot.unstorable(env):
        if (layer := kinds.get(type(wrapper))) is not None:
            raise BadSetting(
                f"{KEY}.{layer.place}",
                f"the attribute {attribute!r} of {layer.name} cannot be kept in a checkpoint, so that a resumed run "
                "would differ; keep numbers, arrays and lists of them, or leave it out",
            )


def _find(index: int, item: str | WrapperSpec) -> Layer:
    key = f"{KEY}.{index}"
    for name in () if isinstance(item, str) else item:
        if name not in WrapperSpec.__annotations__:
            raise BadSetting(f"{key}.{name}", f"unknown key {name!r}{suggestion(name, WrapperSpec.__annotations__)}")
    path, init_args = (item, {}) if isinstance(item, str) else (item["class_path"], item.get("init_args") or {})
    known = {
        name: kind
        for name, kind in vars(gym.wrappers).items()
        if isinstance(kind, type) and issubclass(kind, gym.Wrapper) and kind not in REFUSED
    }
    where = key if isinstance(item, str) else f"{key}.class_path"
    if ":" in path or "." in path:
        import_folder()
        try:
            kind: Any = load_class(path, gym.Wrapper)
        except BadInput as error:
            raise BadSetting(where, str(error)) from error
    elif (kind := getattr(gym.wrappers, path, None)) not in {*known.values(), *REFUSED}:
        hint = nearest(path, known) or f"; known are {', '.join(sorted(known))}, and module:Class"
        raise BadSetting(where, f"Gymnasium has no wrapper {path!r}{hint}")
    for unfit, reason in REFUSED.items():
        if issubclass(kind, unfit):
            raise BadSetting(where, f"{path}: {reason}")
    first = next(iter(keywords(kind)[0]), "env")
    check_keywords(path, kind, init_args, {first}, f"{key}.init_args")
    return Layer(index, path, kind, dict(init_args))
