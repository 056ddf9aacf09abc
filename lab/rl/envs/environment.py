"""Gymnasium environments by name: made, described by plain values, and refused in one clear line."""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.error import DependencyNotInstalled, DeprecatedEnv, UnregisteredEnv

from lab.errors import BadSetting, nearest
from lab.rl.envs import atari, spaces
from lab.rl.envs.checked import CheckedEnv, first_line

EXTRAS = ("mujoco", "box2d", "atari")  # of this package, named after what Gymnasium needs


def make(env: str, **settings: Any) -> CheckedEnv:
    """The environment registered as `env`, such as `Pendulum-v1` or `module:Name-v0`, as a `CheckedEnv`.

    Raises:
        BadSetting: nobody registered that name, a package it needs is missing, or its constructor fails.
    """
    if env not in gym.registry and not atari.register() and atari.NAMES.match(env):
        raise BadSetting("env", f"{env!r} needs a package that is not installed: pip install 'torch-lab[atari]'")
    try:
        name = resolve(env)
        if ".mujoco." in _entry(name):
            _warn_for_mujoco()
        make_it = atari.make if atari.is_game(name) else gym.make
        made = make_it(name, disable_env_checker=True, **settings)
    except (DependencyNotInstalled, ModuleNotFoundError) as error:
        raise BadSetting("env", f"{env!r} needs a package that is not installed: {_extra(env, error)}") from None
    except (UnregisteredEnv, DeprecatedEnv) as error:
        known = nearest(env, gym.registry)
        raise BadSetting("env", f"no environment {env!r}{known or f' ({first_line(error)})'}") from None
    except Exception as error:
        kind, words = type(error).__name__, first_line(error)
        said = kind if words == kind else f"{kind}: {words}"
        if env in gym.registry or ":" in env:
            raise BadSetting("env", f"{env!r} could not be made: {said}") from error
        raise BadSetting("env", f"no environment {env!r} ({words})") from None
    return CheckedEnv(made, env)


def resolve(env: str) -> str:
    """The registered name behind `env`; `module:Name-v0` imports the module, also from the current folder."""
    module, _, name = env.rpartition(":")
    if module:
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        importlib.import_module(module)
    return name


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


def _extra(env: str, error: Exception) -> str:
    """The pip command that brings what `env` needs, or else gymnasium's own words."""
    for extra in EXTRAS:
        if extra in _entry(env) or extra in str(error).lower():
            return f"pip install 'torch-lab[{extra}]'"
    return first_line(error)


def _entry(env: str) -> str:
    """The entry point of an environment, if it is registered."""
    return str(gym.registry[env].entry_point) if env in gym.registry else ""


@functools.cache
def _warn_for_mujoco() -> None:
    """Each of MuJoCo's warnings once; it writes them on the screen and into a file whenever an environment is made."""
    import mujoco

    def say(words: str) -> None:
        if "deprecated" not in words:  # in a model of Gymnasium's, where nobody here can change it
            warnings.warn(f"MuJoCo: {words}", stacklevel=1)

    mujoco.set_mju_user_warning(say)
