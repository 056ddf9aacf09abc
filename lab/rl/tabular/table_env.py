"""An environment that is its own transition table, in the format of Gymnasium's toy texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

Outcome = tuple[float, int, float, bool]  # probability, next state, reward, terminated

COLORS = {"#": (51, 65, 85), "X": (213, 94, 0), "G": (0, 158, 115), "S": (203, 213, 225)}
CELL = 24  # pixels of a cell


class TableEnv(gym.Env[Any, Any]):
    """An environment that is its transition table.

    >>> env = TableEnv({0: {0: [(0.5, 0, 0.0, False), (0.5, 1, 1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}, [1.0, 0.0])
    >>> env.reset(seed=0)[0], env.step(0)[0] in (0, 1)
    (0, True)

    Args:
        table: state -> action -> outcomes (probability, next state, reward, terminated), as in Gymnasium's toy texts.
        start: probability of each state to be the first.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self, table: dict[int, dict[int, list[Outcome]]], start: Sequence[float], render_mode: str | None = None
    ) -> None:
        self.P, self.initial_state_distrib, self.render_mode = table, np.asarray(start, np.float64), render_mode
        self.observation_space = gym.spaces.Discrete(len(table))
        self.action_space = gym.spaces.Discrete(len(table[0]))
        self.desc: list[str] = ["." * len(table)]  # a map of the states, row by row
        self.s = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.s = int(self.np_random.choice(len(self.P), p=self.initial_state_distrib))
        return self.s, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        outcomes = self.P[self.s][int(action)]
        _, self.s, reward, terminated = outcomes[_sample([each[0] for each in outcomes], self.np_random.random())]
        return self.s, reward, terminated, False, {}

    def render(self) -> Any:
        colors = [[COLORS.get(cell, (255, 255, 255)) for cell in row] for row in self.desc]
        picture = np.kron(np.array(colors, np.uint8), np.ones((CELL, CELL, 1), np.uint8))
        row, column = divmod(self.s, len(self.desc[0]))
        picture[row * CELL + 6 : row * CELL + 18, column * CELL + 6 : column * CELL + 18] = (0, 114, 178)
        return picture


def _sample(probabilities: Sequence[float], number: float) -> int:
    """The index in which a uniform number lies."""
    for index, probability in enumerate(probabilities):
        number -= probability
        if number < 0:
            return index
    return len(probabilities) - 1
