"""Gymnasium environments by name: made, described by plain values, and refused in one clear line."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import DependencyNotInstalled, Error

from lab.errors import BadSetting, LabError, nearest
from lab.rl.envs import atari, spaces

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
            _warn_for_mujoco()
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


class CheckedEnv(gym.Wrapper[Any, Any, Any, Any]):
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
    """Plain facts of an environment: `env`, `observation_size` and `action` (an `ActionSpec`).

    The size is the length of a vector, or [images, height, width] of images.

    Raises:
        BadSetting: the environment is unknown, or its spaces are none that an algorithm here can use.
    """
    made = make(env)
    observation, action = made.observation_space, made.action_space
    made.close()
    size = spaces.observation_size(env, observation)
    return {"env": env, "observation_size": size, "action": spaces.action_spec(env, action)}


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
def _warn_for_mujoco() -> None:
    """Each of MuJoCo's warnings once; it writes them on the screen and into a file whenever an environment is made."""
    import mujoco

    def say(words: str) -> None:
        if "deprecated" not in words:  # in a model of Gymnasium's, where nobody here can change it
            warnings.warn(f"MuJoCo: {words}", stacklevel=1)

    mujoco.set_mju_user_warning(say)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
