"""Playing episodes: each depends on its start alone, whoever plays beside it."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from lab.rl.common import evaluation
from lab.rl.envs.factory import EnvFactory

CPU = torch.device("cpu")


def swing(observation):
    """A policy that needs no learning: push the way it turns."""
    return 2 * torch.sign(observation[:, 2:3])


def alone(env, policy, seed):
    made = gym.make(env)
    observation, _ = made.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        action = policy(torch.as_tensor(observation)[None])[0].numpy()
        observation, reward, terminated, truncated, _ = made.step(action)
        total, over = total + float(reward), terminated or truncated
    return total


@pytest.mark.slow
def test_returns_are_those_of_single_episodes():
    seeds = list(range(8))
    wanted = [alone("Pendulum-v1", swing, seed) for seed in seeds]
    np.testing.assert_allclose(
        evaluation.play(swing, EnvFactory("Pendulum-v1"), seeds, CPU, num_envs=3), wanted, rtol=1e-6
    )


def test_episodes_of_different_lengths_do_not_disturb_each_other():

    def balance(observation):
        return (observation[:, 2] > 0).long()

    seeds = list(range(10))
    wanted = [alone("CartPole-v1", balance, seed) for seed in seeds]
    assert len(set(wanted)) > 3
    np.testing.assert_array_equal(evaluation.play(balance, EnvFactory("CartPole-v1"), seeds, CPU, num_envs=4), wanted)


@pytest.mark.long
def test_no_policy_beats_the_optimum_of_the_same_starts():
    seeds = range(20)
    returns = evaluation.play(swing, EnvFactory("Pendulum-v1"), list(seeds), CPU)
    assert (evaluation.OPTIMA["Pendulum-v1"](seeds) >= returns - 0.1).all()


@pytest.mark.slow
def test_a_film_is_a_film(tmp_path):
    video = tmp_path / "agent.mp4"
    total = evaluation.record_video(swing, EnvFactory("Pendulum-v1"), 3, CPU, video)
    assert abs(total - alone("Pendulum-v1", swing, 3)) < 1e-3
    assert video.read_bytes()[4:8] == b"ftyp"
