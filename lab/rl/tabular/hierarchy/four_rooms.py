"""Four rooms with hallways between them, and the options that lead to these.

Source: Sutton, Precup & Singh 1999, "Between MDPs and semi-MDPs: a framework for temporal abstraction in reinforcement
learning", section 2 and figure 3. Deviations: one slips to the sides only, and every move costs 1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import gymnasium as gym

from lab.rl.tabular.grids import MOVES, Grid

HALLWAYS = "HG"
FOUR_ROOMS = (
    "#############",
    "#S....#.....#",
    "#.....#.....#",
    "#.....H.....#",
    "#.....#.....#",
    "#.....#.....#",
    "##H####.....#",
    "#.....###G###",
    "#.....#.....#",
    "#.....#.....#",
    "#.....H.....#",
    "#.....#.....#",
    "#############",
)


class FourRooms(Grid):
    """A `Grid` whose hallways `H` part it into rooms; in every room an option leads to each of its hallways, of which
    the goal `G` is one.

    `options` has the action of each option in each state, -1 where it neither starts nor goes on. The return is minus
    the number of moves, at least 14.

    >>> rooms = FourRooms()
    >>> len(rooms.options), rooms.options[0][13 + 1]  # in the corner, 3 is down
    (8, 3)

    Args:
        desc: the rows of the map.
        slip: probability to move at a right angle to the action instead.
    """

    def __init__(self, desc: Sequence[str] = FOUR_ROOMS, slip: float = 0.1, render_mode: str | None = None) -> None:
        super().__init__(desc, slip, step_reward=-1.0, goal_reward=-1.0, wall_reward=-1.0, render_mode=render_mode)
        self.options = hallway_options(desc)


def hallway_options(desc: Sequence[str]) -> list[list[int]]:
    """For each room and each of its hallways the first move of a shortest way there, and -1 outside of the room (S,).

    An option starts in its room and in the room's other hallways, too; it ends in its own.
    """
    width, cells = len(desc[0]), "".join(desc)
    neighbours = {
        place: {
            action: place + row * width + column
            for action, (row, column) in enumerate(MOVES)
            if cells[place + row * width + column] != "#"
        }
        for place, cell in enumerate(cells)
        if cell != "#"
    }
    rooms: list[set[int]] = []
    for place in neighbours:
        if cells[place] not in HALLWAYS and not any(place in room for room in rooms):
            rooms.append(_reached(place, neighbours, {each for each in neighbours if cells[each] not in HALLWAYS}))
    options = []
    for room in rooms:
        doors = {door for place in room for door in neighbours[place].values() if cells[door] in HALLWAYS}
        for door in sorted(doors):
            moves = [-1] * len(cells)
            found = deque([door])
            while found:  # breadth first, from the hallway backwards
                ahead = found.popleft()
                for place in neighbours[ahead].values():
                    if place in room | doors - {door} and moves[place] < 0:
                        moves[place] = next(action for action, to in neighbours[place].items() if to == ahead)
                        if place in room:
                            found.append(place)
            options.append(moves)
    return options


def _reached(start: int, neighbours: dict[int, dict[int, int]], inside: set[int]) -> set[int]:
    reached, found = {start}, [start]
    while found:
        new = {place for place in neighbours[found.pop()].values() if place in inside} - reached
        reached |= new
        found += new
    return reached


gym.register("FourRooms-v0", entry_point="lab.rl.tabular.hierarchy.four_rooms:FourRooms", max_episode_steps=1_000)
