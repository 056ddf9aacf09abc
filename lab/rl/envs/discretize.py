"""A continuous action as a choice among evenly spaced values, so that algorithms for discrete actions can take it.

The values travel with the facts of the action (`DiscreteSpec.values`): an agent learns from indices, which the training
environment looks up here, and answers `forward` with the value itself, so that evaluation, videos and plots use the
environment as it is.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from lab.errors import BadSetting
from lab.rl.envs.spaces import ActionSpec, DiscreteSpec, continuous

KEY = "num_action_bins"  # of the data module


def discretize(env: str, action: ActionSpec, bins: int) -> DiscreteSpec:
    """`bins` evenly spaced values of `action`, both bounds among them.

    >>> discretize("Pendulum-v1", {"low": [-2.0], "high": [2.0]}, bins=3)
    {'count': 3, 'values': [[-2.0], [0.0], [2.0]]}

    Args:
        env: name of the environment, for the message.
        action: what it takes.
        bins: how many values, from 2.

    Raises:
        BadSetting: `env` has no single continuous action.
    """
    if "low" not in action:
        found = f"{action['count']} discrete actions" if "count" in action else "discrete actions"
        raise BadSetting(KEY, f"{env!r} has {found} already; leave it out")
    continuous(action, "bins", "")  # bounded
    if len(action["low"]) != 1:
        count = len(action["low"])
        raise BadSetting(
            KEY,
            f"{env!r} has {count} continuous actions, bins are for one; use a task for continuous actions",
        )
    values = np.linspace(action["low"], action["high"], bins, dtype=np.float32)  # (bins, 1)
    return {"count": bins, "values": values.tolist()}


class DiscretizedAction(gym.ActionWrapper[Any, Any, Any]):
    """Takes the index of a value, from 0, where the environment takes the value, (1,).

    >>> torques = DiscreteSpec(count=3, values=[[-2.0], [0.0], [2.0]])
    >>> DiscretizedAction(gym.make("Pendulum-v1"), torques).action(2)
    array([2.], dtype=float32)

    Args:
        env: an environment with one continuous action.
        action: what `discretize` made of it.
    """

    def __init__(self, env: gym.Env[Any, Any], action: DiscreteSpec) -> None:
        super().__init__(env)
        self.values = np.array(action["values"], np.float32)  # (bins, 1)
        self.action_space = gym.spaces.Discrete(len(self.values))

    def action(self, action: Any) -> np.ndarray:
        value: np.ndarray = self.values[int(action)].copy()
        return value
