"""Grids whose goal is drawn anew for every trial: an agent with a memory searches it once, and then goes back to it.

Source: the tabular and the visual navigation tasks of Duan et al. 2016, "RL^2: Fast reinforcement learning via slow
reinforcement learning", where a trial has several attempts in one world. Name it `lab.rl.meta.drawn_grids:DrawnGrid`;
`lab.rl.envs.layers.previous_step:PreviousStep` around it shows where the goal was found.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete

from lab.rl.meta.drawn_bandits import BLUE, ORANGE, WHITE
from lab.rl.tabular.grids import MOVES

CELL = 40  # pixels of a cell in a picture
LINES = (221, 221, 221)  # between cells


class DrawnGrid(gym.Env[int, int]):
    """An episode is a trial of `steps` moves on a grid of `size` x `size` cells with a goal that is not shown.

    The goal is any cell but the middle one, where an attempt starts, uniformly and drawn at every reset. A move to it
    pays 1, and the next attempt starts; every other one pays 0. An observation is the cell, row by row. Against the
    border one stays where one is. Who knows the goal, d moves away, reaches it `steps // d` times.

    >>> env = DrawnGrid(size=3, steps=4)
    >>> env.reset(seed=0)
    (4, {})
    >>> env.goal
    7
    >>> env.step(3)[:4]  # down, to the goal, and back in the middle
    (4, 1.0, False, False)

    Args:
        size: rows and columns, an odd number from 3.
        steps: moves of an episode, from 1.
        render_mode: `rgb_array` draws the goal in orange and the agent in blue.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self, size: int = 5, steps: int = 40, render_mode: str | None = None) -> None:
        if size < 3 or size % 2 == 0 or steps < 1:
            raise ValueError(f"expected an odd size from 3 and at least 1 step, found {size} and {steps}")
        self.size, self.steps, self.render_mode = size, steps, render_mode
        self.start = size * size // 2
        self.observation_space: Any = Discrete(size * size)
        self.action_space: Any = Discrete(len(MOVES))
        self.cell, self.goal, self.moved = self.start, 0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        goal = int(self.np_random.integers(self.size**2 - 1))
        self.cell, self.goal, self.moved = self.start, goal + (goal >= self.start), 0
        return self.cell, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        place = np.add(divmod(self.cell, self.size), MOVES[action]).clip(0, self.size - 1)
        self.cell, self.moved = int(place[0] * self.size + place[1]), self.moved + 1
        found = self.cell == self.goal
        if found:
            self.cell = self.start
        return self.cell, float(found), self.moved == self.steps, False, {}

    def render(self) -> Any:
        picture = np.full((self.size, CELL, self.size, CELL, 3), WHITE, np.uint8)
        picture[:, 0], picture[:, :, :, 0] = LINES, LINES
        for cell, colour in ((self.goal, ORANGE), (self.cell, BLUE)):
            row, column = divmod(cell, self.size)
            picture[row, 4:, column, 4:] = colour
        return picture.reshape(self.size * CELL, self.size * CELL, 3)
