"""Spaces of an environment as plain values: what an agent acts in and how much it observes."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict, final

import gymnasium as gym
import numpy as np

from lab.errors import BadSetting
from lab.rl.envs import atari


@final
class ContinuousSpec(TypedDict):
    """A bounded continuous action: one `low` and one `high` per dimension.

    >>> ContinuousSpec(low=[-2.0], high=[2.0])  # the torque of Pendulum
    {'low': [-2.0], 'high': [2.0]}

    Args:
        low: the smallest values, (A,).
        high: the largest values, (A,).
    """

    low: list[float]
    high: list[float]


@final
class DiscreteSpec(TypedDict):
    """A choice among `count` actions; `values` are what they stand for in an environment whose action is continuous.

    >>> DiscreteSpec(count=2)  # left or right, of CartPole
    {'count': 2}

    Args:
        count: how many, from 1; an action is a whole number from 0 to `count` - 1.
        values: (count, 1), or left out.
    """

    count: int
    values: NotRequired[list[list[float]]]


ActionSpec = ContinuousSpec | DiscreteSpec


def observation_size(env: str, space: gym.Space[Any]) -> int | list[int]:
    """The length of a vector, or [images, height, width] of an Atari game's screens.

    Raises:
        BadSetting: no algorithm here can use such observations.
    """
    if isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and space.shape[0]:
        return int(space.shape[0])
    if isinstance(space, gym.spaces.Box) and atari.is_game(env):
        return list(space.shape)
    needed = "a vector (a Box with one dimension) or an Atari game is needed"
    raise BadSetting("env", f"{env!r} observes {_described(space)}; {needed}{_flattening(space)}")


def action_spec(env: str, space: gym.Space[Any]) -> ActionSpec:
    """Bounds of a continuous action, or the number of discrete ones.

    Raises:
        BadSetting: no algorithm here can use such actions.
    """
    if isinstance(space, gym.spaces.Discrete):
        return {"count": int(space.n)}
    is_bounded = isinstance(space, gym.spaces.Box) and _is_bounded(space)
    if isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and space.shape[0] and is_bounded:
        return {"low": space.low.tolist(), "high": space.high.tolist()}
    is_unbounded = isinstance(space, gym.spaces.Box) and not is_bounded
    found = f"{_described(space)}{' without bounds' if is_unbounded else ''}"
    needed = "a Discrete or a bounded Box with one dimension is needed"
    wayout = "register it under a name of your own with gymnasium.wrappers.TransformAction around it"
    raise BadSetting("env", f"{env!r} has {found} as action space; {needed}; {wayout}")


def vector_size(observation_size: int | list[int]) -> int:
    """`observation_size` if observations are vectors.

    >>> vector_size(4)
    4

    Raises:
        BadSetting: they are images; names an algorithm that can use them.
    """
    if isinstance(observation_size, int):
        return observation_size
    shape = " x ".join(map(str, observation_size))
    raise BadSetting("observation_size", f"this task needs vector observations, found images ({shape}): use task=dqn")


def continuous(action: ActionSpec, algorithm: str, discrete: str) -> ContinuousSpec:
    """`action` if it is continuous.

    >>> continuous({"low": [-2.0], "high": [2.0]}, "ddpg", discrete="use task=dqn")
    {'low': [-2.0], 'high': [2.0]}
    >>> continuous({"count": 2}, "ddpg", discrete="use task=dqn")
    Traceback (most recent call last):
        ...
    lab.errors.BadSetting: action: ddpg needs continuous actions, found 2 discrete ones: use task=dqn

    Raises:
        BadSetting: it is discrete; names `discrete`, an algorithm that can use it.
    """
    if "low" in action:
        return action
    wayout = "leave data.num_action_bins out" if "values" in action else discrete
    raise BadSetting("action", f"{algorithm} needs continuous actions, found {action['count']} discrete ones: {wayout}")


def discrete(action: ActionSpec, algorithm: str, continuous: str) -> DiscreteSpec:
    """`action` if it is discrete.

    >>> discrete({"count": 2}, "dqn", continuous="use task=sac")
    {'count': 2}

    Raises:
        BadSetting: it is continuous; names `continuous`, an algorithm that can use it.
    """
    if "count" in action:
        return action
    count = len(action["low"])
    bins = "set data.num_action_bins, such as data.num_action_bins=5"
    wayout = f"{bins}, or {continuous}" if count == 1 else continuous
    there = "a continuous one" if count == 1 else f"{count} continuous ones"
    raise BadSetting("action", f"{algorithm} needs discrete actions, found {there}: {wayout}")


def _is_bounded(space: gym.spaces.Box) -> bool:
    """Whether actions can be scaled to its bounds; some write the largest float in place of infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(space.high.astype(np.float32) - space.low.astype(np.float32)).all())


def _flattening(space: gym.Space[Any]) -> str:
    """The wrappers that make a vector of a space, as the next step; nothing where Gymnasium has none."""
    if _flattens(space):
        wrappers = "gymnasium.wrappers.FlattenObservation"
    elif isinstance(space, gym.spaces.Dict) and (keys := [key for key, part in space.items() if _flattens(part)]):
        wrappers = f"gymnasium.wrappers.FilterObservation (of {', '.join(keys)}) and FlattenObservation"
    else:
        return ""
    return f"; register it under a name of your own with {wrappers} around it"


def _flattens(space: gym.Space[Any]) -> bool:
    try:
        flat = gym.spaces.flatten_space(space)
    except NotImplementedError:
        return False
    return isinstance(flat, gym.spaces.Box) and len(flat.shape) == 1


def _described(space: gym.Space[Any]) -> str:
    """A space in one line; its own text has one for every row of its bounds."""
    if isinstance(space, gym.spaces.Box):
        return f"a Box of shape {space.shape}"
    if isinstance(space, gym.spaces.Dict):
        return f"a Dict of {', '.join(space)}"
    return " ".join(str(space).split())
