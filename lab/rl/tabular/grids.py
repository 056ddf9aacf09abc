"""Grids with a known transition table, registered with Gymnasium: a maze, and a grid on which one slips.

Importing this module registers them, so `data.env` is `lab.rl.tabular.grids:Maze-v0` for every agent.
"""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
import numpy as np

from lab.rl.tabular.table_env import Outcome, TableEnv

MOVES = ((0, -1), (0, 1), (-1, 0), (1, 0))  # rows and columns of left, right, up, down
MAZE = (
    "S.......#G",
    ".###.##.#.",
    ".#...#..#.",
    ".#.###.##.",
    ".#...#....",
    ".###.####.",
    "...#......",
)
SLIPPERY = ("S...", ".X.X", "...X", "X..G")


class Grid(TableEnv):
    """A map of cells: `S` start, `G` goal, `X` obstacle, `#` wall, `.` free. Actions: left, right, up, down.

    Args:
        desc: the rows of the map; episodes start in any `S`.
        slip: probability to move at a right angle to the action instead, half of it to either side.
        step_reward: of every move.
        goal_reward: of a move to the goal, which ends the episode.
        wall_reward: of a move against a wall or off the map, after which one is where one was.
        obstacle_reward: of a move into an obstacle.
        obstacle_ends: whether that ends the episode.
    """

    def __init__(
        self,
        desc: Sequence[str] = MAZE,
        slip: float = 0.0,
        step_reward: float = 0.0,
        goal_reward: float = 1.0,
        wall_reward: float = -1.0,
        obstacle_reward: float = -100.0,
        obstacle_ends: bool = True,
        render_mode: str | None = None,
    ) -> None:
        rewards = {"G": goal_reward, "X": obstacle_reward}
        ends = {"G", "X"} if obstacle_ends else {"G"}
        height, width = len(desc), len(desc[0])
        if any(len(row) != width for row in desc) or not any("S" in row for row in desc):
            raise ValueError("desc: expected rows of one length, one of them with a start S")

        def move(row: int, column: int, direction: int, probability: float) -> Outcome:
            to = row + MOVES[direction][0], column + MOVES[direction][1]
            inside = 0 <= to[0] < height and 0 <= to[1] < width
            if not inside or desc[to[0]][to[1]] == "#":
                return probability, row * width + column, wall_reward, False
            cell = desc[to[0]][to[1]]
            return probability, to[0] * width + to[1], rewards.get(cell, step_reward), cell in ends

        def outcomes(row: int, column: int, action: int) -> list[Outcome]:
            if desc[row][column] in {*ends, "#"}:
                return [(1.0, row * width + column, 0.0, True)]
            sides = (2, 3) if action < 2 else (0, 1)
            slips = [move(row, column, side, slip / 2) for side in sides] if slip else []
            return [move(row, column, action, 1 - slip), *slips]

        table = {
            row * width + column: {action: outcomes(row, column, action) for action in range(len(MOVES))}
            for row, column in np.ndindex(height, width)
        }
        start = np.array([float(cell == "S") for cell in "".join(desc)])
        super().__init__(table, start / start.sum(), render_mode)
        self.desc = list(desc)


gym.register("Maze-v0", entry_point="lab.rl.tabular.grids:Grid", max_episode_steps=200)
gym.register(
    "SlipperyGrid-v0",
    entry_point="lab.rl.tabular.grids:Grid",
    max_episode_steps=100,
    kwargs={"desc": SLIPPERY, "slip": 0.2, "step_reward": -1.0, "goal_reward": 10.0, "wall_reward": -1.0},
)
