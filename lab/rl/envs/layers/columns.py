"""Some columns of an observation, so that an agent has to remember what the others would have shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box


class KeepColumns(gym.ObservationWrapper[Any, Any, Any]):
    """Shows some columns of a vector only, such as positions without velocities.

    >>> KeepColumns(gym.make("CartPole-v1"), columns=[0, 2]).reset(seed=0)[0].shape
    (2,)

    Args:
        columns: their numbers, from 0.
    """

    def __init__(self, env: gym.Env[Any, Any], columns: Sequence[int]) -> None:
        super().__init__(env)
        self.columns = list(columns)
        space: Any = env.observation_space
        if not isinstance(space, Box) or len(space.shape) != 1:
            raise ValueError(f"its observation is {space}, expected a vector")
        if not self.columns or not set(self.columns) <= set(range(space.shape[0])):
            raise ValueError(f"columns are {self.columns}, expected some of 0 to {space.shape[0] - 1}")
        self.observation_space: Any = Box(space.low[self.columns], space.high[self.columns], dtype=space.dtype.type)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        return observation[self.columns]
