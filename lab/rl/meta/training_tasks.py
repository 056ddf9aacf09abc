"""A fixed number of tasks for training, of an environment that draws one at every reset."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box


class TrainingTasks(gym.Wrapper[np.ndarray, Any, Any, Any]):
    """Begins an episode that is given no start seed with one of the first `num_tasks`, which it draws uniformly.

    A start seed says which task the environment draws, so that these are the tasks of the training; evaluation gives
    others. The last column of an observation is the number of the task, or -1 where the start seed was given.

    >>> from lab.rl.meta.point_robot import PointRobot
    >>> env = TrainingTasks(PointRobot(), num_tasks=2)
    >>> env.reset(seed=7)[0]
    array([ 0.,  0.,  1., -1.], dtype=float32)
    >>> [env.reset()[0][-1].item() for _ in range(4)]
    [1.0, 1.0, 1.0, 1.0]

    Args:
        num_tasks: how many, from 1.

    Raises:
        ValueError: the observation is no vector.
    """

    def __init__(self, env: gym.Env[Any, Any], num_tasks: int) -> None:
        super().__init__(env)
        seen: Any = env.observation_space
        if not isinstance(seen, Box) or len(seen.shape) != 1:
            raise ValueError(f"its observation is {seen}, expected a vector")
        low, high = np.append(seen.low, -1), np.append(seen.high, num_tasks)
        self.observation_space: Any = Box(low.astype(np.float32), high.astype(np.float32))
        self.num_tasks, self.task = num_tasks, -1
        self.random = np.random.default_rng(0)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        if seed is None:
            seed = self.task = int(self.random.integers(self.num_tasks))
        else:
            self.random, self.task = np.random.default_rng(seed), -1
        observation, info = self.env.reset(seed=seed, options=options)
        return self._beside(observation), info

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._beside(observation), reward, terminated, truncated, info

    def _beside(self, observation: np.ndarray) -> np.ndarray:
        return np.append(observation, self.task).astype(np.float32)
