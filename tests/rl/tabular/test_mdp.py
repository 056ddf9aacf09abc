"""Dynamic programming against marks that others computed, equations solved by hand, and played episodes."""

import gymnasium as gym
import numpy as np
import pytest

from lab.errors import BadSetting
from lab.rl.tabular import chains, grids  # noqa: F401 - registers its environments
from lab.rl.tabular.mdp import transition_table
from lab.rl.tabular.table_env import TableEnv


@pytest.mark.parametrize(
    ("name", "keywords", "horizon", "optimum"),
    [
        ("FrozenLake-v1", {}, 100, 0.7442),
        ("FrozenLake8x8-v1", {}, 200, 0.9132),
        ("FrozenLake-v1", {}, 10_000, 0.8235),  # as good as without a time limit
        ("CliffWalking-v1", {}, 1_000, -13.0),
        ("CliffWalkingSlippery-v1", {}, 200, -64.70),
        ("Taxi-v4", {}, 200, 7.93),
        ("Blackjack-v1", {"sab": True}, 100, -0.0431),
        ("Maze-v0", {}, 200, 1.0),
    ],
)
def test_the_optimum_within_the_time_limit(name, keywords, horizon, optimum):
    assert transition_table(gym.make(name, **keywords)).optimal_return(horizon) == pytest.approx(
        optimum, abs=0.01 if optimum < -50 else 5e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("keywords", [{"sab": True}, {"natural": True, "sab": False}, {"sab": False}])
def test_blackjack_pays_what_its_table_says(keywords):
    env, rng = gym.make("Blackjack-v1", **keywords), np.random.default_rng(0)
    process = transition_table(env)
    actions = rng.integers(0, 2, 704)
    actions[np.ravel_multi_index(np.mgrid[18:22, 0:11, 0:2].reshape(3, -1), (32, 11, 2))] = 0
    env.reset(seed=0)
    rewards = []
    for _ in range(4_000):
        (seen, _), over = env.reset(), False
        while not over:
            seen, reward, over, *_ = env.step(int(actions[np.ravel_multi_index(seen, (32, 11, 2))]))
        rewards.append(reward)
    assert process.start.sum() == pytest.approx(1)
    assert np.mean(rewards) == pytest.approx(process.policy_return(actions[None], 100), abs=4 * np.std(rewards) / 63)


def test_a_markov_reward_process_solves_the_bellman_equation():
    process = transition_table(gym.make("Robot-v0"))
    matrix, rewards = np.array(chains.ROBOT["transition"]), np.array(chains.ROBOT["rewards"])
    value = process.policy_value(np.ones((3, 1)), gamma=0.9)
    assert np.allclose(value[:2], (rewards + 0.9 * matrix @ value)[:2])
    walk = transition_table(gym.make("RandomWalk-v0")).policy_value(np.ones((21, 1)), gamma=1.0)
    assert np.allclose(walk[1:-1], np.arange(-9, 10) / 10)


def test_the_optimal_values_are_those_of_the_optimal_policy():
    process = transition_table(gym.make("SlipperyGrid-v0"))
    best = process.optimal_action_values(0.9)
    assert np.allclose(process.policy_value(np.eye(4)[best.argmax(-1)], 0.9), best.max(-1))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({0: {0: [(0.4, 0, 0.0, False)]}}, "state 0, action 0 sum to 0.4"),
        ({0: {0: [(1.0, 7, 0.0, False)]}}, "state 0, action 0 leads to state 7"),
        ({0: {}}, "KeyError: 0"),
        ({0: {0: [(1.0, 0)]}}, "not enough values to unpack"),
    ],
)
def test_a_table_that_is_none_is_refused(table, words):
    env = TableEnv({0: {0: [(1.0, 0, 0.0, True)]}}, [1.0])
    env.P = table
    with pytest.raises(BadSetting, match=f"the table `P` of TableEnv describes no transitions: .*{words}"):
        transition_table(env)
