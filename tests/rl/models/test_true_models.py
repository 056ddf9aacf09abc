"""The equations of environments are Gymnasium's own."""

import gymnasium
import numpy as np
import pytest
import torch

from lab.rl.models.true_models import TRUE_MODELS


@pytest.mark.parametrize("name", TRUE_MODELS)
def test_every_step_is_the_environments(name):
    env = gymnasium.make(name)
    env.action_space.seed(0)
    terminations = 0
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        over = False
        while not over:
            action = env.action_space.sample()
            discrete = isinstance(env.action_space, gymnasium.spaces.Discrete)
            row = np.eye(env.action_space.n)[action] if discrete else action
            predicted = TRUE_MODELS[name](torch.as_tensor(observation), torch.as_tensor(row, dtype=torch.float32))
            observation, reward, terminated, truncated, _ = env.step(action)
            np.testing.assert_allclose(predicted[0].numpy(), observation, atol=2e-5)
            assert predicted[1].item() == pytest.approx(reward, abs=1e-4)
            assert bool(predicted[2]) == terminated
            terminations += terminated
            over = terminated or truncated
    assert terminations == (5 if name == "CartPole-v1" else 0)
