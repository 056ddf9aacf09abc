"""A robot in the plane whose goal is drawn anew for every trial: it finds out in one attempt where later ones must go.

Source: the 2-D navigation of Rakelly et al. 2019, "Efficient off-policy meta-reinforcement learning via probabilistic
context variables", section 6.3. Name it `lab.rl.meta.point_robot:PointRobot`.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box

from lab.rl.meta.drawn_bandits import BLUE, GREY, ORANGE, WHITE

SPEED = 0.1  # most that a step moves along each axis
REACH = 4.0  # no coordinate gets larger than this
SIDE, DOT = 200, 4  # of a picture, which shows coordinates from -1.25 to 1.25, and half of a dot, in pixels


class PointRobot(gym.Env[np.ndarray, np.ndarray]):
    """An episode is a trial: `attempts` times `steps` steps from the origin towards a goal that is not shown.

    The goal is on the upper half of the unit circle, at an angle that is uniform from 0 to pi and drawn at every reset.
    An action of two numbers from -1 to 1 moves the robot by a tenth of them, and the reward is minus its distance to
    the goal. An observation has the two coordinates, and 1 where an attempt begins, else 0. The last step of an attempt
    leads to the origin, that of the trial truncates the episode. `info` has the number of the `attempt`, from 0, and
    as `optimal_return` what an attempt is worth to who knows the goal.

    >>> env = PointRobot(attempts=2, steps=1)
    >>> env.reset(seed=0)[0]
    array([0., 0., 1.], dtype=float32)
    >>> observation, reward, terminated, truncated, info = env.step(np.array([1.0, -0.5]))
    >>> observation, truncated, info["attempt"]  # the second attempt begins
    (array([0., 0., 1.], dtype=float32), False, 0)
    >>> env.step(np.array([1.0, -0.5]))[0]
    array([ 0.1 , -0.05,  0.  ], dtype=float32)

    Args:
        attempts: of a trial, from 1.
        steps: of an attempt, from 1.
        sparse: pay 1 minus the distance within `radius` of the goal, and 0 elsewhere.
        radius: of the goal; above 0.
        render_mode: `rgb_array` draws the goal in orange and the robot in blue.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - as Gymnasium has it

    def __init__(
        self,
        attempts: int = 3,
        steps: int = 20,
        sparse: bool = False,
        radius: float = 0.2,
        render_mode: str | None = None,
    ) -> None:
        if attempts < 1 or steps < 1 or radius <= 0:
            found = f"found {attempts}, {steps} and {radius}"
            raise ValueError(f"expected at least 1 attempt and 1 step and a radius above 0, {found}")
        self.attempts, self.steps, self.sparse, self.radius = attempts, steps, sparse, radius
        self.render_mode = render_mode
        low, high = ([-REACH, -REACH, 0], [REACH, REACH, 1])
        self.observation_space: Any = Box(np.array(low, np.float32), np.array(high, np.float32))
        self.action_space: Any = Box(-1, 1, (2,), np.float32)
        self.goal, self.place, self.moved, self.optimal_return = np.array([0.0, 1.0]), np.zeros(2), 0, 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        angle = self.np_random.uniform(0, math.pi)
        self.goal, self.place, self.moved = np.array([math.cos(angle), math.sin(angle)]), np.zeros(2), 0
        # along each axis it goes straight to the goal and stays there
        ways = np.minimum(SPEED * np.arange(1, self.steps + 1)[:, None], np.abs(self.goal)) * np.sign(self.goal)
        self.optimal_return = float(self._reward(ways).sum())
        return self._seen(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.place = (self.place + SPEED * np.clip(action, -1, 1)).clip(-REACH, REACH)
        reward = float(self._reward(self.place))
        info = {"attempt": self.moved // self.steps, "optimal_return": self.optimal_return}
        self.moved += 1
        is_over = self.moved == self.attempts * self.steps
        if self.moved % self.steps == 0 and not is_over:
            self.place = np.zeros(2)
        return self._seen(), reward, False, is_over, info

    def _reward(self, place: np.ndarray) -> np.ndarray:
        """That of places (..., 2)."""
        distance = np.linalg.norm(place - self.goal, axis=-1)
        reward: np.ndarray = np.where(distance <= self.radius, 1 - distance, 0.0) if self.sparse else -distance
        return reward

    def _seen(self) -> np.ndarray:
        begins = self.moved % self.steps == 0 and self.moved < self.attempts * self.steps
        return np.array([*self.place, begins], np.float32)

    def render(self) -> Any:
        picture = np.full((SIDE, SIDE, 3), WHITE, np.uint8)
        for angle in np.linspace(0, math.pi, 60):
            self._dot(picture, np.array([math.cos(angle), math.sin(angle)]), GREY, DOT // 4)
        self._dot(picture, self.goal, ORANGE, DOT)
        self._dot(picture, self.place, BLUE, DOT)
        return picture

    @staticmethod
    def _dot(picture: np.ndarray, place: np.ndarray, colour: tuple[int, int, int], half: int) -> None:
        column, row = (SIDE * (0.5 + place * [1, -1] / 2.5)).astype(int).clip(half, SIDE - half)
        picture[row - half : row + half, column - half : column + half] = colour
