"""The cost of a step beside the observation that it led to, for agents that keep costs within a limit."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box


class CostColumn(gym.Wrapper[np.ndarray, Any, Any, Any]):
    """Adds `info["cost"]` of the latest step to an observation as its last column; 0 at the beginning of an episode.

    >>> env = CostColumn(gym.make("lab.rl.constrained.cooling:Cooling-v0"))
    >>> env.reset(seed=0)[0].shape
    (10,)

    Raises:
        ValueError: the observation is no vector.
        KeyError: in `step`, if the environment has no `info["cost"]`.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        seen: Any = env.observation_space
        if not isinstance(seen, Box) or len(seen.shape) != 1:
            raise ValueError(f"its observation is {seen}, expected a vector")
        low, high = np.append(seen.low, -np.inf), np.append(seen.high, np.inf)
        self.observation_space: Any = Box(low.astype(np.float32), high.astype(np.float32))

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        observation, info = self.env.reset(**kwargs)
        return self._beside(observation, 0.0), info

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._beside(observation, float(info["cost"])), reward, terminated, truncated, info

    def _beside(self, observation: Any, cost: float) -> np.ndarray:
        return np.append(observation, cost).astype(np.float32)
