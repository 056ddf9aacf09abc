"""Cheap environments with observations of other kinds than vectors; all episodes have 100 steps, whatever is done."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

STEPS, MOVES = 100, np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])  # of an episode; what the actions do


class Parts(gym.Env[dict[str, Any], int]):
    """Shows its place, its goal and the wind by name: seven columns, with a one-hot wind."""

    action_space = Discrete(4)
    observation_space = Dict({"place": Box(-9, 9, (2,)), "goal": Box(-9, 9, (2,)), "wind": Discrete(3)})

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed, options=options)
        self.place, self.goal = self.np_random.uniform(-1, 1, (2, 2)).astype(np.float32)
        self.wind, self.steps = int(self.np_random.integers(3)), 0
        return self._shown(), {}

    def step(self, action: int) -> Any:
        self.steps += 1
        moved = self.place + 0.1 * MOVES[action] + 0.01 * (self.wind - 1)
        self.place = moved.clip(-9, 9).astype(np.float32)
        return self._shown(), -float(abs(self.place - self.goal).sum()), False, self.steps == STEPS, {}

    def _shown(self) -> dict[str, Any]:
        return {"place": self.place, "goal": self.goal, "wind": self.wind}


class Screens(gym.Env[np.ndarray, int]):
    """Shows four grey screens, as Atari games do, with a square that is paid for being near the middle."""

    action_space = Discrete(4)
    observation_space = Box(0, 255, (4, 84, 84), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed, options=options)
        self.place, self.steps = self.np_random.integers(76, size=2), 0
        self.screens = np.zeros((4, 84, 84), np.uint8)
        return self._shown(), {}

    def step(self, action: int) -> Any:
        self.steps += 1
        self.place = (self.place + 4 * MOVES[action]).clip(0, 76)
        distance = float(abs(self.place - 38).sum())
        return self._shown(), -distance / 76, False, self.steps == STEPS, {}

    def _shown(self) -> np.ndarray:
        self.screens = np.roll(self.screens, -1, 0)
        self.screens[-1] = 0
        row, column = self.place
        self.screens[-1, row : row + 8, column : column + 8] = 255
        return self.screens
