"""Two agents that have to meet on a grid: they have to agree who moves, and the best possible return is known.

Name it `lab.rl.multi_agent.rendezvous:Rendezvous`. It has the methods of PettingZoo's `ParallelEnv`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete

MOVES = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)])
CELL, COLOURS = 24, ((0, 114, 178), (230, 159, 0))  # pixels of a cell; blue and orange


class Rendezvous:
    """Two agents on a grid, each of which stays or moves to a neighbouring cell; the episode ends where they meet.

    Both lose 1 per step, so that the best return of both together is minus twice half of their distance in steps,
    rounded up. If they stand side by side and both go to the other, they have only changed places: one has to wait.
    An agent sees its own place and the way to the other one, in units of the grid.

    >>> grid = Rendezvous(size=3)
    >>> seen, _ = grid.reset(seed=0)
    >>> seen["agent_0"].shape, optimal_returns([0], size=3).shape
    ((4,), (1,))

    Args:
        size: cells of a side, from 2.
        max_cycles: steps after which an episode is cut off.
        render_mode: `rgb_array` draws the grid.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 - as PettingZoo has it

    def __init__(self, size: int = 7, max_cycles: int = 20, render_mode: str | None = None) -> None:
        if size < 2 or max_cycles < 1:
            raise ValueError(f"expected a size from 2 and max_cycles from 1, found {size} and {max_cycles}")
        self.size, self.max_cycles, self.render_mode = size, max_cycles, render_mode
        self.possible_agents = ["agent_0", "agent_1"]
        self.seen, self.moves = Box(-1.0, 1.0, (4,), np.float32), Discrete(len(MOVES))
        self.agents: list[str] = []
        self.random = np.random.default_rng()
        self.places, self.steps = np.zeros((2, 2), int), 0

    def observation_space(self, agent: str) -> Box:  # noqa: ARG002 - both see alike
        return self.seen

    def action_space(self, agent: str) -> Discrete:  # noqa: ARG002
        return self.moves

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:  # noqa: ARG002
        if seed is not None:
            self.random = np.random.default_rng(seed)
        cells = self.random.choice(self.size**2, 2, replace=False)
        self.places, self.steps, self.agents = np.stack(np.divmod(cells, self.size), -1), 0, [*self.possible_agents]
        return self._observations(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, int]) -> tuple[Any, ...]:
        moves = MOVES[[int(actions[agent]) for agent in self.possible_agents]]
        self.places, self.steps = np.clip(self.places + moves, 0, self.size - 1), self.steps + 1
        have_met = bool((self.places[0] == self.places[1]).all())
        is_cut = not have_met and self.steps == self.max_cycles
        each = self.possible_agents
        self.agents = [] if have_met or is_cut else [*each]
        values: list[Any] = [-1.0, have_met, is_cut, {}]
        return self._observations(), *(dict.fromkeys(each, value) for value in values)

    def _observations(self) -> dict[str, np.ndarray]:
        units = (self.places / (self.size - 1)).astype(np.float32)
        own, other = units, units[::-1]
        return dict(zip(self.possible_agents, np.concatenate([own, other - own], -1), strict=True))

    def render(self) -> np.ndarray:
        """The grid (H, W, 3)."""
        picture = np.full((self.size * CELL, self.size * CELL, 3), 255, np.uint8)
        picture[::CELL], picture[:, ::CELL] = 200, 200
        for number, ((row, column), colour) in enumerate(zip(self.places.tolist(), COLOURS, strict=True)):
            top, left, inset = row * CELL, column * CELL, 3 + 4 * number  # both are seen where they meet
            picture[top + inset : top + CELL - inset, left + inset : left + CELL - inset] = colour
        return picture

    def close(self) -> None:
        """Nothing is open."""


def optimal_returns(seeds: Sequence[int], size: int = 7) -> np.ndarray:
    """The best possible returns (N,) of both agents together from these start seeds."""
    grid = Rendezvous(size)
    found = []
    for seed in seeds:
        grid.reset(seed=int(seed))
        distance = int(np.abs(grid.places[0] - grid.places[1]).sum())
        found.append(-2.0 * -(-distance // 2))
    return np.array(found)
