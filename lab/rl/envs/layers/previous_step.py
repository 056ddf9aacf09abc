"""The previous action and reward beside each observation, so that a memory can learn from them within an episode."""

from __future__ import annotations

from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete, flatten, flatten_space


class PreviousStep(gym.Wrapper[np.ndarray, Any, Any, Any]):
    """Adds the previous action and its reward to an observation; both are zeros at the beginning of an episode.

    A discrete observation or action becomes a one-hot vector. Source: Duan et al. 2016, "RL^2: Fast reinforcement
    learning via slow reinforcement learning", section 3.1; there an episode of this environment is called a trial.

    >>> env = PreviousStep(gym.make("CartPole-v1"))
    >>> env.reset(seed=0)[0][4:]  # after the four columns of CartPole
    array([0., 0., 0.], dtype=float32)
    >>> env.step(1)[0][4:]
    array([0., 1., 1.], dtype=float32)
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        spaces: tuple[Any, Any] = env.observation_space, env.action_space
        for what, space in zip(("observation", "action"), spaces, strict=True):
            if not isinstance(space, Discrete | Box):
                raise ValueError(f"its {what} is {space}, expected a Box or a Discrete")
        seen, done = (cast("Box", flatten_space(space)) for space in spaces)
        self.nothing = np.zeros(len(done.low) + 1, np.float32)
        self.observation_space: Any = Box(
            np.concatenate([seen.low, np.minimum(done.low, 0), [-np.inf]]).astype(np.float32),
            np.concatenate([seen.high, np.maximum(done.high, 0), [np.inf]]).astype(np.float32),
        )

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        observation, info = self.env.reset(**kwargs)
        return self._beside(observation, self.nothing), info

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        previous = np.array([*flatten(self.env.action_space, action), reward])
        return self._beside(observation, previous), reward, terminated, truncated, info

    def _beside(self, observation: Any, previous: np.ndarray) -> np.ndarray:
        return np.concatenate([flatten(self.env.observation_space, observation), previous]).astype(np.float32)
