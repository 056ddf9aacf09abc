"""Gymnasium environments by name: made, described by plain values, and refused in one clear line."""

from __future__ import annotations

import functools
import warnings
from typing import Any, NotRequired, TypedDict, final

import gymnasium as gym
import numpy as np
from gymnasium.error import DependencyNotInstalled, Error

from lab.errors import BadSetting, LabError, nearest
from lab.rl.envs import atari


@final
class Box(TypedDict):
    """A bounded continuous action: one `low` and one `high` per dimension."""

    low: list[float]
    high: list[float]


@final
class Discrete(TypedDict):
    """A choice among `count` actions; `values` are what they mean in an environment whose action is continuous."""

    count: int
    values: NotRequired[list[list[float]]]


EXTRAS = ("mujoco", "box2d", "atari")  # of this package, named after what Gymnasium needs


def make(env: str, **settings: Any) -> gym.Env[Any, Any]:
    """The environment registered as `env`, such as `Pendulum-v1`; its vectors are single precision, as networks are.

    Raises:
        BadSetting: nobody registered that name, or a package it needs is missing.
    """
    if env not in gym.registry and not atari.register() and atari.NAMES.match(env):
        raise BadSetting("env", f"{env!r} needs a package that is not installed: pip install 'torch-lab[atari]'")
    try:
        if ".mujoco." in _entry(env):
            _hear_mujoco()
        make_it = atari.make if atari.is_game(env) else gym.make
        made = make_it(env, disable_env_checker=True, **settings)
    except (DependencyNotInstalled, ModuleNotFoundError) as error:
        raise BadSetting("env", f"{env!r} needs a package that is not installed: {_extra(env, error)}") from None
    except Error as error:
        known = nearest(env, gym.registry)
        raise BadSetting("env", f"no environment {env!r}{known or f' ({_first_line(error)})'}") from None
    space = made.observation_space
    if isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and space.dtype != np.float32:
        single = gym.spaces.Box(space.low.astype(np.float32), space.high.astype(np.float32))
        return gym.wrappers.TransformObservation(made, _single_precision, single)
    return made


class Guard(gym.Wrapper[Any, Any, Any, Any]):
    """Counts the steps of a training environment, and says at which one it failed.

    Args:
        env: the environment.
        name: what it is registered as.
    """

    def __init__(self, env: gym.Env[Any, Any], name: str) -> None:
        super().__init__(env)
        self.name, self.steps = name, 0

    def reset(self, **settings: Any) -> Any:
        try:
            return self.env.reset(**settings)
        except Exception as error:
            raise failure(self.name, f"in the reset after env step {self.steps}", error) from error

    def step(self, action: Any) -> Any:
        self.steps += 1
        try:
            return self.env.step(action)
        except Exception as error:
            raise failure(self.name, f"at env step {self.steps}", error) from error


def failure(env: str, where: str, error: Exception) -> LabError:
    """What to raise `from error` when an environment's own code failed: its name, where, and the error in one line."""
    words = _first_line(error)
    kind = type(error).__name__
    return LabError(f"environment {env} failed {where}: {kind if words == kind else f'{kind}: {words}'}")


def describe(env: str) -> dict[str, Any]:
    """Plain facts of an environment: `env`, `observation_size` and `action` (a `Box` or a `Discrete`).

    The size is the length of a vector, or [images, height, width] of images.

    Raises:
        BadSetting: the environment is unknown, or its spaces are none that an algorithm here can use.
    """
    made = make(env)
    observation, action = made.observation_space, made.action_space
    made.close()
    return {"env": env, "observation_size": _size(env, observation), "action": _action(env, action)}


def vector(observation_size: int | list[int]) -> int:
    """`observation_size` if observations are vectors.

    Raises:
        BadSetting: they are images; names an algorithm that can use them.
    """
    if isinstance(observation_size, int):
        return observation_size
    shape = " x ".join(map(str, observation_size))
    raise BadSetting("observation_size", f"this task needs vectors; there are images ({shape}): take task=dqn")


def continuous(action: Box | Discrete, algorithm: str, discrete: str) -> Box:
    """`action` if it is continuous.

    Raises:
        BadSetting: it is discrete; names `discrete`, an algorithm that can use it.
    """
    if "low" in action:
        return action
    wayout = "leave data.bins out" if "values" in action else discrete
    raise BadSetting(
        "action", f"{algorithm} needs continuous actions; there are {action['count']} discrete ones: {wayout}"
    )


def discrete(action: Box | Discrete, algorithm: str, continuous: str) -> Discrete:
    """`action` if it is discrete.

    Raises:
        BadSetting: it is continuous; names `continuous`, an algorithm that can use it.
    """
    if "count" in action:
        return action
    found = len(action["low"])
    wayout = f"set data.bins, such as data.bins=5, or {continuous}" if found == 1 else continuous
    there = "is a continuous one" if found == 1 else f"are {found} continuous ones"
    raise BadSetting("action", f"{algorithm} needs discrete actions; there {there}: {wayout}")


def _size(env: str, space: gym.Space[Any]) -> int | list[int]:
    if isinstance(space, gym.spaces.Box) and len(space.shape) == 1:
        return int(space.shape[0])
    if isinstance(space, gym.spaces.Box) and atari.is_game(env):
        return list(space.shape)
    needed = "a vector (a Box with one dimension) or an Atari game is needed"
    if not isinstance(space, gym.spaces.Box):
        needed += "; register it under a name of your own with gymnasium.wrappers.FlattenObservation around it"
    raise BadSetting("env", f"{env!r} observes {_words(space)}; {needed}")


def _action(env: str, space: gym.Space[Any]) -> Box | Discrete:
    if isinstance(space, gym.spaces.Discrete) and space.start == 0:
        return {"count": int(space.n)}
    if isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and np.isfinite([space.low, space.high]).all():
        return {"low": space.low.tolist(), "high": space.high.tolist()}
    needed = "a Discrete that starts at 0 or a bounded Box with one dimension is needed"
    raise BadSetting("env", f"{env!r} acts in {_words(space)}; {needed}")


def _words(space: gym.Space[Any]) -> str:
    """A space in one line; its own words have one for every row of its bounds."""
    if isinstance(space, gym.spaces.Box):
        return f"a Box of shape {space.shape}"
    if isinstance(space, gym.spaces.Dict):
        return f"a Dict of {', '.join(space)}"
    return " ".join(str(space).split())


def _single_precision(observation: np.ndarray) -> np.ndarray:
    return observation.astype(np.float32)


def _extra(env: str, error: Exception) -> str:
    """The pip command that brings what `env` needs, or else gymnasium's own words."""
    for extra in EXTRAS:
        if extra in _entry(env) or extra in str(error).lower():
            return f"pip install 'torch-lab[{extra}]'"
    return _first_line(error)


def _entry(env: str) -> str:
    """Where the code of an environment lies, if it is registered."""
    return str(gym.registry[env].entry_point) if env in gym.registry else ""


@functools.cache
def _hear_mujoco() -> None:
    """Each of MuJoCo's warnings once; it writes them on the screen and into a file whenever an environment is made."""
    import mujoco

    def say(words: str) -> None:
        if "deprecated" not in words:  # in a model of Gymnasium's, where nobody here can change it
            warnings.warn(f"MuJoCo: {words}", stacklevel=1)

    mujoco.set_mju_user_warning(say)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
