"""Action spaces as plain values, and which algorithm can use them."""

from __future__ import annotations

import math
from typing import Any, NotRequired, TypedDict, final

import gymnasium as gym
import numpy as np

from lab.errors import BadSetting


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


@final
class MultiDiscreteSpec(TypedDict):
    """Several choices at once, each among its own number of actions.

    >>> MultiDiscreteSpec(counts=[2, 3])
    {'counts': [2, 3]}

    Args:
        counts: how many actions each choice has; an action is a whole number for each, from 0.
    """

    counts: list[int]


ActionSpec = ContinuousSpec | DiscreteSpec | MultiDiscreteSpec


def action_spec(env: str, space: gym.Space[Any]) -> ActionSpec:
    """Bounds of a continuous action, infinite where it has none, or the numbers of discrete ones.

    Raises:
        BadSetting: no algorithm here can use such actions.
    """
    if isinstance(space, gym.spaces.Discrete):
        return {"count": int(space.n)}
    if isinstance(space, gym.spaces.MultiDiscrete):
        return {"counts": space.nvec.flatten().tolist()}
    if isinstance(space, gym.spaces.MultiBinary):
        return {"counts": [2] * int(np.prod(space.shape))}
    if isinstance(space, gym.spaces.Box) and space.low.size:
        low, high = (bound.astype(np.float32).flatten() for bound in (space.low, space.high))
        with np.errstate(over="ignore", invalid="ignore"):  # some write the largest float in place of infinity
            bounded = np.isfinite(high - low)
        return {"low": np.where(bounded, low, -np.inf).tolist(), "high": np.where(bounded, high, np.inf).tolist()}
    found = " ".join(str(space).split())
    needed = "a Discrete, MultiDiscrete, MultiBinary or Box is needed"
    raise BadSetting("env", f"{env!r} has {found} as action space; {needed}; put TransformAction around it")


def mask_size(env: str, space: gym.Space[Any]) -> int:
    """The length of a mask of valid actions: all choices one after the other.

    Raises:
        BadSetting: actions are continuous.
    """
    spec = action_spec(env, space)
    if "low" in spec:
        raise BadSetting("action_masks", f"{env!r} has continuous actions, which no mask is for; leave it out")
    return sum(spec["counts"]) if "counts" in spec else spec["count"]


def continuous(
    action: ActionSpec,
    algorithm: str,
    discrete: str = "use a task for discrete actions, such as dqn, or ppo for several at once",
) -> ContinuousSpec:
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
    if "low" in action and all(map(math.isfinite, (*action["low"], *action["high"]))):
        return action
    if "low" in action:
        raise BadSetting("action", f"{algorithm} needs bounded actions, found some without bounds: use task=ppo")
    wayout = "leave data.num_action_bins out" if "values" in action else discrete
    raise BadSetting("action", f"{algorithm} needs continuous actions, found {_found(action)}: {wayout}")


def discrete(action: ActionSpec, algorithm: str, continuous: str, bins: bool = True) -> DiscreteSpec:
    """`action` if it is discrete.

    >>> discrete({"count": 2}, "dqn", continuous="use task=sac")
    {'count': 2}

    Args:
        action: of the environment.
        algorithm: its name, for the message.
        continuous: what to do instead, which names an algorithm that can use it.
        bins: whether the data can divide a continuous action into bins.

    Raises:
        BadSetting: it is continuous, or several at once.
    """
    if "count" in action:
        return action
    if "counts" in action:
        raise BadSetting("action", f"{algorithm} needs one discrete action, found {_found(action)}: use task=ppo")
    count = len(action["low"])
    divide = "set data.num_action_bins, such as data.num_action_bins=5"
    wayout = f"{divide}, or {continuous}" if bins and count == 1 else continuous
    there = "a continuous one" if count == 1 else f"{count} continuous ones"
    raise BadSetting("action", f"{algorithm} needs discrete actions, found {there}: {wayout}")


def _found(action: DiscreteSpec | MultiDiscreteSpec) -> str:
    return f"{action['count']} discrete ones" if "count" in action else f"{len(action['counts'])} choices at once"
