"""Bandits that are drawn for each episode, and what an agent sees of its previous step."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from lab.rl.envs.layers.previous_step import PreviousStep
from lab.rl.meta.drawn_bandits import BLUE, GREY, HEIGHT, WHITE, WIDTH, DrawnBandit


def test_gymnasium_accepts_it():
    check_env(DrawnBandit(render_mode="rgb_array"), skip_render_check=True)


def test_each_episode_is_another_bandit_and_a_seed_says_which():
    env = DrawnBandit()
    drawn = []
    for seed in (1, None, 1):
        env.reset(seed=seed)
        drawn.append(env.probabilities)
    assert (drawn[0] == drawn[2]).all()
    assert (drawn[0] != drawn[1]).all()


def test_arms_pay_with_their_probability():
    env = DrawnBandit(arms=2, pulls=4000)
    env.reset(seed=0)
    for arm in (0, 1):
        paid = np.mean([env.step(arm)[1] for _ in range(2000)])
        assert paid == pytest.approx(env.probabilities[arm], abs=0.04)


def test_the_picture_shows_the_arms_and_the_latest_pull():
    env = DrawnBandit(arms=2, render_mode="rgb_array")
    env.reset(seed=0)
    env.probabilities = np.array([1.0, 0.5])
    env.step(0)
    picture = env.render()
    assert picture.shape == (HEIGHT, 2 * WIDTH, 3)
    middle = [int(WIDTH * (arm + 0.5)) for arm in (0, 1)]
    assert tuple(picture[-1, middle[0]]) == BLUE  # it always pays
    assert tuple(picture[-1, middle[1]]) == GREY
    assert tuple(picture[HEIGHT // 4, middle[1]]) == WHITE


@pytest.mark.parametrize(("arms", "pulls"), [(1, 10), (5, 0)])
def test_fewer_arms_or_pulls_are_refused(arms, pulls):
    with pytest.raises(ValueError, match=r"expected at least 2 arms and 1 pull"):
        DrawnBandit(arms, pulls)


def test_the_previous_step_stands_beside_an_observation_until_the_episode_ends():
    env = PreviousStep(DrawnBandit(arms=3, pulls=2))
    check_env(env, skip_render_check=True)
    first, _ = env.reset(seed=0)
    assert first.tolist() == [1, 0, 0, 0, 0]  # the one-hot vector of the only observation, no arm, no reward
    second, reward, *_ = env.step(2)
    assert second.tolist() == [1, 0, 0, 1, reward]
    assert env.step(1)[0][1:4].tolist() == [0, 1, 0]
    assert env.reset()[0].tolist() == first.tolist()


def test_continuous_actions_stand_there_as_they_are():
    env = PreviousStep(gym.make("Pendulum-v1"))
    env.reset(seed=0)
    seen, reward, *_ = env.step(np.array([1.5], np.float32))
    assert seen[3:].tolist() == pytest.approx([1.5, reward])
    assert env.observation_space.contains(seen)


def test_a_dictionary_is_refused():
    inside = DrawnBandit()
    inside.observation_space = gym.spaces.Dict({})
    with pytest.raises(ValueError, match="expected a Box or a Discrete"):
        PreviousStep(inside)
