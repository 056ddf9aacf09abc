"""Small environments with a goal in their observations, in the form of `gymnasium-robotics`.

An observation is a dictionary of `observation`, `achieved_goal` and `desired_goal`; `compute_reward` says for a batch
of goals what a step is worth, and `compute_terminated` whether it ends the episode. Name them by `module:Class`, such
as `lab.rl.envs.goals:BitFlipping`.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary

Found = tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]


class BitFlipping(gym.Env[dict[str, np.ndarray], int]):
    """An action flips one bit; the reward is -1 until all bits are those of the goal, which ends the episode.

    Source: Andrychowicz et al. 2017, "Hindsight experience replay", section 3.1. An episode has at most `bits` steps.

    >>> env = BitFlipping(bits=3)
    >>> observation, _ = env.reset(seed=0)
    >>> observation["observation"], observation["desired_goal"]
    (array([0, 1, 1], dtype=int8), array([1, 1, 1], dtype=int8))

    Args:
        bits: how many, from 1.
    """

    def __init__(self, bits: int = 8) -> None:
        self.bits, self.steps = bits, 0
        parts = ("observation", "achieved_goal", "desired_goal")
        self.observation_space: Any = Dict({name: MultiBinary(bits) for name in parts})
        self.action_space: Any = Discrete(bits)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed, options=options)
        self.state, self.goal = self.np_random.integers(2, size=(2, self.bits), dtype=np.int8)
        self.steps = 0
        return self._seen(), {}

    def step(self, action: int) -> Found:
        self.state[action] ^= 1
        self.steps += 1
        reward = float(self.compute_reward(self.state, self.goal, {}))
        return self._seen(), reward, reward == 0, self.steps >= self.bits, {"is_success": reward == 0}

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:  # noqa: ARG002
        """0 where a goal (..., bits) is reached, -1 elsewhere."""
        reward: np.ndarray = -np.any(achieved_goal != desired_goal, -1).astype(np.float32)
        return reward

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        """Whether a goal (..., bits) is reached."""
        reached: np.ndarray = self.compute_reward(achieved_goal, desired_goal, info) == 0
        return reached

    def _seen(self) -> dict[str, np.ndarray]:
        return {
            "observation": self.state.copy(),
            "achieved_goal": self.state.copy(),
            "desired_goal": self.goal.copy(),
        }


class Reach(gym.Env[dict[str, np.ndarray], np.ndarray]):
    """A point in a square is pushed to a goal; the reward is -1 until it is near, where it has to stay for 50 steps.

    >>> Reach().reset(seed=0)[0]["observation"].shape  # place and velocity
    (4,)

    Args:
        radius: distance from the goal within which it is reached.
    """

    def __init__(self, radius: float = 0.1) -> None:
        self.radius, self.steps = radius, 0
        goal = Box(-1, 1, (2,), np.float32)
        self.observation_space: Any = Dict(
            observation=Box(-1, 1, (4,), np.float32), achieved_goal=goal, desired_goal=goal
        )
        self.action_space: Any = Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed, options=options)
        self.place, self.goal = self.np_random.uniform(-1, 1, (2, 2)).astype(np.float32)
        self.velocity: np.ndarray = np.zeros(2, np.float32)
        self.steps = 0
        return self._seen(), {}

    def step(self, action: np.ndarray) -> Found:
        self.velocity = 0.8 * self.velocity + 0.04 * action
        moved = np.clip(self.place + self.velocity, -1, 1).astype(np.float32)
        self.velocity, self.place = (moved - self.place).astype(np.float32), moved  # a wall stops it
        self.steps += 1
        reward = float(self.compute_reward(self.place, self.goal, {}))
        return self._seen(), reward, False, self.steps >= 50, {"is_success": reward == 0}

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:  # noqa: ARG002
        """0 within the radius of a goal (..., 2), -1 elsewhere."""
        reward: np.ndarray = -(np.linalg.norm(achieved_goal - desired_goal, axis=-1) > self.radius).astype(np.float32)
        return reward

    def _seen(self) -> dict[str, np.ndarray]:
        return {
            "observation": np.concatenate([self.place, self.velocity]),
            "achieved_goal": self.place.copy(),
            "desired_goal": self.goal.copy(),
        }
