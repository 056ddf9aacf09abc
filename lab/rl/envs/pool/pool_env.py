"""EnvPool's environments: by name as Gymnasium's, one at a time, to look at and to evaluate in.

Training steps them as one batch, in `pool_stepper.py`. EnvPool is not imported before a recipe names one of them.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from lab.errors import BadInput, BadSetting, nearest, one_line
from lab.imports import load_module

PACKAGE = "envpool"
OWN = {  # settings of a pool that are the run's
    "num_envs", "batch_size", "seed", "env_seed", "max_num_players", "thread_affinity_offset", "base_path",
    "gym_reset_return_info", "max_episode_steps", "reward_threshold", "task",
}  # fmt: skip
TRAINING = {"episodic_life": True, "reward_clip": True}  # of Atari games: as `atari.for_training` has them
WHOLE_GAMES = "is set in training and not in evaluation, as for all Atari games"
SEEDS = 2**31  # EnvPool's are 32 bits with a sign


def is_pool(env: str) -> bool:
    """Whether a name is that of one of EnvPool's environments, such as `envpool:Pong-v5`."""
    return env.startswith(f"{PACKAGE}:")


def find_pool(name: str) -> EnvSpec:
    """The registry entry of one of EnvPool's environments, as if Gymnasium had it.

    Args:
        name: EnvPool's, such as `Pong-v5`.

    Raises:
        BadSetting: EnvPool is not installed, or has no such environment, or one of several players.
    """
    try:
        names = load_module(PACKAGE, f"{PACKAGE}:{name}").list_all_envs()
    except BadInput as error:
        raise BadSetting("env", str(error)) from error.__cause__
    if name not in names:
        raise BadSetting("env", f"no environment '{PACKAGE}:{name}'{nearest(name, names, f'{PACKAGE}:')}")
    try:
        settings = load_module(PACKAGE, name).make_spec(name).config._asdict()
    except Exception as error:
        raise BadSetting("env", f"'{PACKAGE}:{name}' could not be created: {one_line(error)}") from None
    if settings["max_num_players"] > 1:
        raise BadSetting("env", f"'{PACKAGE}:{name}' has several players, which no task takes from EnvPool")
    return EnvSpec(
        name,
        entry_point=_creator(name, settings),
        max_episode_steps=settings["max_episode_steps"],
        reward_threshold=settings.get("reward_threshold"),
    )


def make_pool(name: str, num_envs: int, seed: int, **settings: Any) -> Any:
    """A pool with Gymnasium's interface."""
    with _quiet():
        pool = load_module(PACKAGE, name).make_gymnasium(name, num_envs=num_envs, seed=seed, **settings)
        _ = pool.observation_space, pool.action_space  # made once
    return pool


class PoolEnv(gym.Env[Any, Any]):
    """One of EnvPool's environments, alone.

    A pool gets its seed when it is made, so each reset with a seed makes a new one.

    Args:
        name: EnvPool's.
        render_mode: `rgb_array`, or None.
        settings: those of the pool.
    """

    def __init__(self, name: str, render_mode: str | None = None, **settings: Any) -> None:
        for key in TRAINING.keys() & settings.keys():
            raise BadSetting(f"env_kwargs.{key}", WHOLE_GAMES)
        with _quiet():
            spec = load_module(PACKAGE, name).make_spec(name, **settings)
            self.observation_space, self.action_space = spec.gymnasium_observation_space, spec.gymnasium_action_space
        # MuJoCo's pictures end the process where there is no OpenGL
        is_drawn = not any(".mujoco" in base.__module__ for base in type(spec).__mro__)
        self.metadata = {"render_modes": ["rgb_array"] if is_drawn else []}
        self.name, self.render_mode = name, render_mode
        # Gymnasium's TimeLimit decides, which knows the recipe's limit
        self.settings = {"num_threads": 1} | settings | {"max_episode_steps": np.iinfo(np.int32).max}
        self.pool: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed, options=options)
        if seed is not None or self.pool is None:
            self.close()
            settings = self.settings | ({"render_mode": self.render_mode} if self.render_mode else {})
            self.pool = make_pool(self.name, 1, int(self.np_random.integers(SEEDS)), **settings)
        observation, info = self.pool.reset()
        return row(observation, 0), row(info, 0)

    def step(self, action: Any) -> Any:
        sent = np.asarray([action], self.action_space.dtype)
        observation, reward, terminated, truncated, info = self.pool.step(sent)
        return row(observation, 0), float(reward[0]), bool(terminated[0]), bool(truncated[0]), row(info, 0)

    def render(self) -> Any:
        return self.pool.render()[0]

    def close(self) -> None:
        if self.pool is not None:
            self.pool.close()
            self.pool = None


def row(batch: Any, number: int) -> Any:
    """What a batch says of one environment: dictionaries and tuples keep their form.

    >>> row({"speed": np.array([[1.0], [2.0]]), "gear": np.array([3, 4])}, 1)
    {'speed': array([2.]), 'gear': np.int64(4)}
    """
    if isinstance(batch, Mapping):
        return {name: row(part, number) for name, part in batch.items()}
    if isinstance(batch, tuple):
        return tuple(row(part, number) for part in batch)
    return batch[number]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Gymnasium's warning about bounds in double precision, which EnvPool always gives."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*precision lowered")
        yield


def _creator(name: str, settings: Mapping[str, Any]) -> Callable[..., Any]:
    """What makes a `PoolEnv`, with the pool's settings as its keywords."""

    def create(**given: Any) -> PoolEnv:
        return PoolEnv(name, **given)

    keywords = {"render_mode": None} | {key: value for key, value in settings.items() if key not in OWN}
    signature: Any = inspect.Signature([
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=type(value))
        for key, value in keywords.items()
    ])  # fmt: skip
    vars(create).update(__signature__=signature)
    create.__module__ = PACKAGE  # where the environment is from
    return create
