"""A robot whose goal is drawn for each trial, and the tasks that it is trained on."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from lab.rl.envs.state import snapshot
from lab.rl.meta.drawn_bandits import BLUE, ORANGE
from lab.rl.meta.point_robot import SIDE, PointRobot
from lab.rl.meta.training_tasks import TrainingTasks


def test_gymnasium_accepts_it():
    check_env(PointRobot(render_mode="rgb_array"), skip_render_check=True)


def test_goals_are_uniform_on_the_half_circle_and_a_seed_says_which():
    env, goals = PointRobot(), []
    for seed in range(2000):
        env.reset(seed=seed)
        goals.append(env.goal)
    angles = np.arctan2(*np.transpose(goals)[::-1])
    np.testing.assert_allclose(np.linalg.norm(goals, axis=1), 1)
    assert angles.min() >= 0
    np.testing.assert_allclose(np.histogram(angles, 4, (0, np.pi))[0] / 2000, 1 / 4, atol=0.03)
    env.reset(seed=7)
    np.testing.assert_array_equal(env.goal, goals[7])


def test_attempts_begin_at_the_origin_with_the_same_goal_and_the_last_one_truncates():
    env = PointRobot(attempts=3, steps=4)
    first, _ = env.reset(seed=0)
    goal, begins, ends, numbers = env.goal.copy(), [first[2]], [], []
    for step in range(12):
        seen, reward, terminated, truncated, info = env.step(np.array([5.0, -0.5]))  # beyond its bounds
        begins.append(seen[2])
        ends.append(truncated)
        numbers.append(info["attempt"])
        place = np.array([0.1, -0.05]) * (step % 4 + 1)
        assert reward == pytest.approx(-np.linalg.norm(place - goal))
        np.testing.assert_allclose(seen[:2], 0 if begins[-1] else place, rtol=1e-6)
        assert not terminated
    assert begins == [1, 0, 0, 0] * 3 + [0]
    assert ends == [False] * 11 + [True]
    assert numbers == [0] * 4 + [1] * 4 + [2] * 4


@pytest.mark.parametrize("sparse", [False, True])
def test_nobody_earns_more_than_who_goes_straight_to_the_goal(sparse):
    env, random = PointRobot(attempts=1, sparse=sparse), np.random.default_rng(0)

    def earn(seed, policy):
        env.reset(seed=seed)
        return sum(env.step(policy())[1] for _ in range(env.steps))

    for seed in range(20):
        straight = earn(seed, lambda: (env.goal - env.place) / 0.1)
        assert straight == pytest.approx(env.optimal_return)
        assert earn(seed, lambda: (env.goal - env.place) / 0.1 + random.normal(size=2)) < straight


def test_a_sparse_reward_is_paid_near_the_goal():
    env = PointRobot(sparse=True, radius=0.3)
    env.reset(seed=0)
    env.goal = np.array([0.0, 0.35])
    assert [env.step(np.array([0.0, 1.0]))[1] for _ in range(3)] == pytest.approx([0.75, 0.85, 0.95])
    env.goal = np.array([1.0, 0.0])
    assert env.step(np.zeros(2))[1] == 0


def test_the_picture_shows_the_goal_and_the_robot():
    env = PointRobot(render_mode="rgb_array")
    env.reset(seed=0)
    env.goal = np.array([0.0, 1.0])
    picture = env.render()
    assert picture.shape == (SIDE, SIDE, 3)
    assert tuple(picture[SIDE // 2, SIDE // 2]) == BLUE
    assert tuple(picture[SIDE // 10, SIDE // 2]) == ORANGE


@pytest.mark.parametrize("settings", [{"attempts": 0}, {"steps": 0}, {"radius": 0.0}])
def test_other_sizes_are_refused(settings):
    with pytest.raises(ValueError, match="expected at least 1 attempt and 1 step and a radius above 0"):
        PointRobot(**settings)


def test_a_training_meets_its_tasks_alone_and_each_as_often():
    env, goals = TrainingTasks(PointRobot(), num_tasks=5), {}
    env.reset(seed=3)
    for _ in range(1000):
        observation, _ = env.reset()
        goals.setdefault(int(observation[-1]), []).append(env.unwrapped.goal)
    assert sorted(goals) == [0, 1, 2, 3, 4]
    for task, found in goals.items():
        env.reset(seed=task)
        np.testing.assert_array_equal(found, np.tile(env.unwrapped.goal, (len(found), 1)))
        assert len(found) == pytest.approx(200, abs=50)


def test_a_start_seed_names_any_task():
    env = TrainingTasks(PointRobot(), num_tasks=5)
    observation, _ = env.reset(seed=12_345)
    assert observation[-1] == env.step(env.action_space.sample())[0][-1] == -1


def test_a_snapshot_goes_on_with_the_same_tasks():
    one, other = (TrainingTasks(PointRobot(), num_tasks=100) for _ in range(2))
    one.reset(seed=3)
    one.reset()
    one.step(np.ones(2))
    snapshot.restore(other, snapshot.take(one))
    for action in np.random.default_rng(0).uniform(-1, 1, (60, 2)):
        np.testing.assert_array_equal(one.step(action)[0], other.step(action)[0])
    assert [one.reset()[0][-1] for _ in range(5)] == [other.reset()[0][-1] for _ in range(5)]


def test_tasks_need_a_vector():
    with pytest.raises(ValueError, match="expected a vector"):
        TrainingTasks(gym.make("FrozenLake-v1"), num_tasks=2)


def test_what_a_known_goal_and_the_best_path_without_a_memory_are_worth():
    """The mean distance to all goals is convex and the same on both sides, so the best path goes straight up."""
    env, known = PointRobot(attempts=1), []
    angles = np.linspace(0, np.pi, 501)
    heights = np.linspace(0, 1, 101)
    distance = np.hypot(np.cos(angles), np.sin(angles) - heights[:, None]).mean(1)
    best = heights[distance.argmin()]
    path = np.minimum(0.1 * np.arange(1, env.steps + 1), best)
    assert -np.interp(path, heights, distance).sum() == pytest.approx(-14.9, abs=0.05)
    for seed in range(2000):
        env.reset(seed=seed)
        known.append(env.optimal_return)
    assert np.mean(known) == pytest.approx(-3.8, abs=0.05)
