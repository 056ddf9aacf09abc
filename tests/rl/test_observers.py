"""What an agent's values promise beside what its policy earns."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from lab.rl.common import evaluation
from lab.rl.common.learning_curve import LearningCurve
from lab.rl.common.observers import AttemptReturns, Observer, ValueBias
from lab.rl.ddpg import DDPG
from lab.rl.envs.factory import EnvFactory
from lab.rl.meta.point_robot import PointRobot

CPU, GAMMA = torch.device("cpu"), 0.9


def push(observation):
    return (observation[:, 2] > 0).long()


def promise(observation):
    return observation[:, 0] + 3.0


def by_hand(env, seed, policy=push):
    """The discounted return of one episode, and with it the promise of its last state if it was cut off."""
    made = gym.make(env)
    observation, _ = made.reset(seed=seed)
    start, rewards, over = observation, [], False
    while not over:
        observation, reward, terminated, truncated, _ = made.step(policy(torch.as_tensor(observation)[None])[0].numpy())
        rewards.append(reward)
        over = terminated or truncated
    tail = 0.0 if terminated else GAMMA ** len(rewards) * (observation[0] + 3.0)
    return start[0] + 3.0 - sum(GAMMA**step * reward for step, reward in enumerate(rewards)) - tail


@pytest.mark.parametrize(
    ("env", "policy"), [("CartPole-v1", push), ("MountainCar-v0", lambda seen: torch.ones(len(seen)).long())]
)
def test_the_bias_is_that_of_a_loop_however_many_are_played_at_once(env, policy):
    wanted = np.mean([by_hand(env, seed, policy) for seed in range(5)])  # MountainCar is cut off after 200 steps
    for num_envs in (1, 2):
        bias = ValueBias(promise, GAMMA, 5)
        returns = evaluation.play(policy, EnvFactory(env), range(5), CPU, num_envs, [bias])
        assert bias.metrics("val") == {"val/overestimation": pytest.approx(wanted, rel=1e-5)}
        np.testing.assert_array_equal(returns, evaluation.play(policy, EnvFactory(env), range(5), CPU, num_envs))


@pytest.mark.parametrize("normalized", [False, True])
def test_values_are_compared_in_units_of_the_environments_return(normalized):
    agent = DDPG(
        "Pendulum-v1", 3, {"low": [-2.0], "high": [2.0]}, hidden=[8], reward_scale=0.5, normalize_rewards=normalized
    )
    agent.state_value = lambda seen: torch.full((len(seen), 1), 7.0)
    if normalized:
        agent.reward_norm.var.fill_(4.0)
    agent._trainer = type("Data", (), {"datamodule": type("Envs", (), {"eval_envs": 1})})
    agent.gamma = 0.0  # then the return is the first reward, and no last state counts
    metrics = agent.evaluate("val", [0])
    unit = 0.5 / 2 if normalized else 0.5
    first = []
    watch = Observer()
    watch.observe = lambda _, step: first.append(step.reward)
    evaluation.play(agent.evaluation_policy(), agent.env_factory, [0], CPU, observers=[watch])
    assert metrics["val/overestimation"] == pytest.approx(7.0 / unit - first[0], rel=1e-4)
    assert metrics["val/return"] == pytest.approx(sum(first), rel=1e-4)


def test_a_learning_curve_goes_on_where_it_was_saved():
    whole, first, second = LearningCurve(), LearningCurve(), LearningCurve()
    points = [(100, -3.0), (200, 5.0), (300, 1.0)]
    wanted = [whole.add(*point, threshold=4.0) for point in points]
    found = [first.add(*points[0], threshold=4.0)]
    second.load_state_dict(first.state_dict())
    found += [second.add(*point, threshold=4.0) for point in points[1:]]
    assert found == wanted
    assert [point["val/steps_to_threshold"] for point in found] == [100.0, 200.0, 200.0]
    assert "val/steps_to_threshold" not in whole.add(400, 9.0, threshold=None)


@pytest.mark.parametrize("num_envs", [1, 3])
def test_returns_of_attempts_are_those_of_a_loop_however_many_are_played_at_once(num_envs):
    factory = EnvFactory("lab.rl.meta.point_robot:PointRobot", {"attempts": 2, "steps": 3})
    attempts = AttemptReturns(5)
    evaluation.play(lambda seen: seen[:, :2] + 0.5, factory, range(5), CPU, num_envs, [attempts])
    wanted, optimal = np.zeros((5, 2)), []
    for seed in range(5):
        env = PointRobot(attempts=2, steps=3)
        observation, _ = env.reset(seed=seed)
        for step in range(6):
            observation, reward, *_ = env.step(observation[:2] + 0.5)
            wanted[seed, step // 3] += reward
        optimal.append(env.optimal_return)
    np.testing.assert_allclose(attempts.returns, wanted, rtol=1e-6)
    assert attempts.metrics("test") == {
        "test/return_attempt_1": pytest.approx(wanted[:, 0].mean()),
        "test/return_attempt_2": pytest.approx(wanted[:, 1].mean()),
        "test/return_attempt_optimal": pytest.approx(np.mean(optimal)),
    }


def test_without_attempts_there_are_no_returns_of_them():
    attempts = AttemptReturns(2)
    evaluation.play(push, EnvFactory("CartPole-v1"), range(2), CPU, 1, [attempts])
    assert attempts.metrics("test") == {}
