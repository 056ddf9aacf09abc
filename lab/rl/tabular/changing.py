"""A maze that changes while an agent learns: the way it has found is blocked, and another one is open.

Source: Sutton & Barto 2018, "Reinforcement learning: an introduction", example 8.2 (blocking maze). Deviations: every
move costs 1, so that the return says how long the way is, and the change comes later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym

from lab.rl.tabular.grids import Grid

BEFORE = (
    "........G",
    ".........",
    ".........",
    "########.",
    ".........",
    "...S.....",
)
AFTER = (*BEFORE[:3], ".########", *BEFORE[4:])


class ChangingMaze(Grid):
    """A `Grid` with another map after a number of steps, which it counts over all episodes.

    The return is minus the number of moves: at best -10 before the change and -16 after it.

    >>> maze = ChangingMaze(change_after=2)
    >>> _ = maze.reset(seed=0), maze.step(0), maze.step(1)
    >>> maze.desc[3]
    '.########'

    Args:
        desc: the rows of the map.
        later_desc: those after the change, in the same number and length.
        change_after: steps before the change.
        slip: probability to move at a right angle to the action instead.
    """

    def __init__(
        self,
        desc: Sequence[str] = BEFORE,
        later_desc: Sequence[str] = AFTER,
        change_after: int = 3_000,
        slip: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(desc, slip, step_reward=-1.0, goal_reward=-1.0, wall_reward=-1.0, render_mode=render_mode)
        later = Grid(later_desc, slip, step_reward=-1.0, goal_reward=-1.0, wall_reward=-1.0)
        if [len(row) for row in later_desc] != [len(row) for row in desc]:
            raise ValueError("later_desc: expected as many rows as desc has, of the same length")
        self.change_after, self.taken = change_after, 0
        self.worlds = [(self.P, self.desc), (later.P, later.desc)]

    def set_steps(self, steps: int) -> None:
        """Becomes the world after so many steps: an evaluation's environment has not taken those of the training."""
        self.taken = steps
        self.P, self.desc = self.worlds[steps >= self.change_after]

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        result = super().step(action)
        self.set_steps(self.taken + 1)
        return result


gym.register("ChangingMaze-v0", entry_point="lab.rl.tabular.changing:ChangingMaze", max_episode_steps=200)
