"""Numbers of an environment that are drawn at every reset: by seed, within their ranges, and kept in a snapshot."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

from lab.errors import BadSetting
from lab.rl.common.agent import Agent
from lab.rl.envs.environment import make
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.layers.domain_randomization import DomainRandomization
from lab.rl.envs.state import snapshot

PATH = "lab.rl.envs.layers.domain_randomization:DomainRandomization"


def drawn(ranges):
    return [{"class_path": PATH, "init_args": {"ranges": ranges}}]


def test_a_seed_says_which_world_it_is_and_every_episode_has_another_one():
    env = DomainRandomization(gym.make("Pendulum-v1"), {"m": [0.5, 1.5], "g": [9.0, 9.0]})
    found = []
    for seed in (3, None, 3, None):
        start, _ = env.reset(seed=seed)
        found.append((env.unwrapped.m, *start))
    assert found[:2] == found[2:]
    assert found[0][0] != found[1][0]
    assert env.unwrapped.g == 9.0
    assert env.unwrapped.l == 1.0, "is not drawn"


def test_values_fill_their_range():
    env = DomainRandomization(gym.make("Pendulum-v1"), {"m": [2, 6]})
    env.reset(seed=0)
    masses = []
    for _ in range(500):
        env.reset()
        masses.append(env.unwrapped.m)
    assert min(masses) >= 2
    assert max(masses) <= 6
    assert np.mean(masses) == pytest.approx(4, abs=0.2)
    assert np.std(masses) == pytest.approx(4 / np.sqrt(12), abs=0.1)


def test_what_a_cart_computes_from_its_numbers_follows_them():
    env = DomainRandomization(CartPoleEnv(), {"masspole": [0.5, 1.0], "length": [0.2, 0.4], "masscart": [2.0, 3.0]})
    env.reset(seed=0)
    inner = env.unwrapped
    assert inner.total_mass == inner.masspole + inner.masscart != 1.1
    assert inner.polemass_length == inner.masspole * inner.length != 0.05


@pytest.mark.parametrize(
    ("env", "ranges"),
    [
        ("Pendulum-v1", {"m": [0.5, 1.5], "l": [0.5, 1.5]}),
        ("CartPole-v1", {"masspole": [0.05, 1.0], "length": [0.1, 1.5]}),
        ("Acrobot-v1", {"LINK_MASS_1": [0.5, 2.0]}),
    ],
)
def test_the_world_is_kept_in_the_middle_of_an_episode(env, ranges):
    one, other = (make(env, None, drawn(ranges)) for _ in range(2))
    one.reset(seed=1)
    for _ in range(5):
        one.step(one.action_space.sample())
    snapshot.restore(other, snapshot.take(one))
    for step in range(40):
        action = one.action_space.sample()
        (seen, *rest), (again, *same) = one.step(action), other.step(action)
        np.testing.assert_array_equal(seen, again)
        assert rest[:3] == same[:3]
        if rest[1] or rest[2] or step == 20:  # a new world, in both the same
            np.testing.assert_array_equal(one.reset()[0], other.reset()[0])


def test_no_optimum_is_said_of_drawn_worlds():
    agent, returns = Agent("Pendulum-v1"), np.array([-200.0])
    assert agent.scores("test", [0], returns)["test/optimality_gap"] > 0
    agent.env_factory = EnvFactory("Pendulum-v1", None, drawn({"m": [0.5, 1.5]}))
    assert "test/optimality_gap" not in agent.scores("test", [0], returns)


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({}, "ranges is empty"),
        ({"masspol": [0.1, 1.0]}, "CartPoleEnv has no number 'masspol'; did you mean 'masspole'?"),
        ({"state": [0.1, 1.0]}, "'state' of CartPoleEnv is no single number; its numbers are force_mag, gravity,"),
        ({"length": [1.0, 0.1]}, "the range of 'length' is [1.0, 0.1]; expected [lowest, highest]"),
        ({"length": 0.5}, "the range of 'length' is 0.5; expected"),
        ({"length": [0.1, 0.5, 1.0]}, "expected [lowest, highest]"),
        ({"length": [0.1, float("nan")]}, "expected [lowest, highest]"),
        ({"length": "ab"}, "expected [lowest, highest]"),
        ([0.1, 1.0], "ranges is [0.1, 1.0]; expected"),
    ],
    ids=str,
)
def test_other_ranges_are_refused_in_one_line(ranges, words):
    with pytest.raises(BadSetting) as error:
        EnvFactory("CartPole-v1", None, drawn(ranges)).facts()
    assert words in str(error.value)
    assert str(error.value).startswith("wrappers.0: ")
    assert "\n" not in str(error.value)
