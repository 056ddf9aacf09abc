"""Grids whose goal is drawn for each episode."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from lab.rl.meta.drawn_bandits import BLUE, ORANGE
from lab.rl.meta.drawn_grids import CELL, DrawnGrid
from lab.rl.tabular.grids import MOVES

LEFT, RIGHT, UP, DOWN = range(4)


def test_gymnasium_accepts_it():
    check_env(DrawnGrid(render_mode="rgb_array"), skip_render_check=True)


def test_goals_are_uniform_over_all_cells_but_the_start_and_a_seed_says_which():
    env = DrawnGrid(size=3)
    goals = []
    for seed in range(2000):
        env.reset(seed=seed)
        goals.append(env.goal)
    share = np.bincount(goals, minlength=9) / 2000
    assert share[env.start] == 0
    assert share[share > 0] == pytest.approx(1 / 8, abs=0.03)
    env.reset(seed=7)
    assert env.goal == goals[7]


def test_the_goal_pays_and_leads_back_to_the_start():
    env = DrawnGrid(size=5, steps=6)
    env.reset(seed=0)
    env.goal = 2 * 5 + 4  # two to the right of the middle
    assert env.step(RIGHT)[:2] == (13, 0.0)
    assert env.step(RIGHT)[:2] == (env.start, 1.0)
    assert [env.step(RIGHT)[1] for _ in range(2)] == [0.0, 1.0]


def test_the_border_holds_and_the_trial_ends_after_its_steps():
    env = DrawnGrid(size=3, steps=4)
    env.reset(seed=0)
    env.goal = 8
    ends = []
    for _ in range(4):
        cell, _, terminated, truncated, _ = env.step(UP)
        ends.append(terminated)
        assert not truncated
    assert cell == 1
    assert ends == [False, False, False, True]


def test_the_picture_shows_the_goal_and_the_agent():
    env = DrawnGrid(size=3, render_mode="rgb_array")
    env.reset(seed=0)
    env.goal = 0
    picture = env.render()
    assert picture.shape == (3 * CELL, 3 * CELL, 3)
    assert tuple(picture[CELL // 2, CELL // 2]) == ORANGE
    assert tuple(picture[3 * CELL // 2, 3 * CELL // 2]) == BLUE


@pytest.mark.parametrize(("size", "steps"), [(4, 10), (1, 10), (5, 0)])
def test_other_sizes_are_refused(size, steps):
    with pytest.raises(ValueError, match=r"expected an odd size from 3"):
        DrawnGrid(size, steps)


def walk(env, path):
    """Moves over neighbouring cells for as long as the trial lasts and the goal is not reached; whether it is over."""
    over = False
    for row, column in path:
        step = (row - env.cell // env.size, column - env.cell % env.size)
        _, reward, over, _, _ = env.step(MOVES.index(step))
        env.earned += reward
        if reward or over:
            break
    return over


def straight(env):
    """The cells from the middle to the goal, first along the column."""
    middle, (row, column) = env.size // 2, divmod(env.goal, env.size)
    down = [(each, middle) for each in way(middle, row)]
    return [*down, *((row, each) for each in way(middle, column))]


def way(begin, end):
    return range(begin + 1, end + 1) if end > begin else range(begin - 1, end - 1, -1)


def spiral(size):
    """All cells but the middle one, each beside the one before."""
    row = column = size // 2
    cells, turn, length = [], 0, 1
    while len(cells) < size**2 - 1:
        for _ in range(2):
            for _ in range(length):
                row, column = row + (0, 1, 0, -1)[turn % 4], column + (1, 0, -1, 0)[turn % 4]
                cells.append((row, column))
            turn += 1
        length += 1
    return cells[: size**2 - 1]


@pytest.mark.parametrize(("knows", "expected"), [(True, 19 + 1 / 3), (False, 15.375)])
def test_what_a_known_goal_and_a_spiral_search_are_worth(knows, expected):
    env, earned = DrawnGrid(), []
    for goal in set(range(25)) - {env.start}:
        env.reset(seed=0)
        env.goal, env.earned = goal, 0.0
        over = False if knows else walk(env, spiral(5))
        while not over:
            over = walk(env, straight(env))
        earned.append(env.earned)
    assert np.mean(earned) == pytest.approx(expected)
