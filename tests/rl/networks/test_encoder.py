"""Observations of numbers and bytes: whatever the number of bytes, and for a row alone as for a batch."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete
from lightning import seed_everything

from lab.rl.common import evaluation
from lab.rl.data.replay import ReplayData
from lab.rl.data.rollout import RolloutData
from lab.rl.dqn import DQN
from lab.rl.envs.factory import EnvFactory
from lab.rl.networks.encoder import Encoder, as_floats
from lab.rl.networks.normalization import observation_normalization
from lab.rl.ppo import PPO
from tests.rl import points
from tests.rl.points import fit


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 147])
def test_floats_are_read_from_any_place(pixels):
    wanted = torch.tensor([[1.5, -2.0], [3.25, 0.0], [7.0, 8.0]])
    rows = torch.cat([wanted.view(torch.uint8), torch.ones(3, pixels, dtype=torch.uint8)], -1)
    for of in (slice(None), slice(0, 1), slice(1, 2), 1, 2):
        assert torch.equal(as_floats(rows[of][..., :8]), wanted[of])
        assert as_floats(rows[of][..., :0]).shape == (*wanted[of].shape[:-1], 0)


def test_a_row_has_the_features_that_it_has_in_a_batch():
    encoder = Encoder({"phase": {"counts": [4]}, "seen": {"bytes": [3, 7, 7]}})
    rows = torch.randint(256, (5, 4 + 147), dtype=torch.uint8)
    rows[:, :4] = torch.tensor([[float(i % 4)] for i in range(5)]).view(torch.uint8)
    together = encoder(rows)
    for i in range(5):
        assert torch.allclose(encoder(rows[i : i + 1])[0], together[i], atol=1e-5)


def test_a_row_is_normalised_as_it_is_in_a_batch():
    norm = observation_normalization({"place": {"size": 1}, "seen": {"bytes": [3, 7, 7]}})
    rows = torch.randint(256, (5, 4 + 147), dtype=torch.uint8)
    rows[:, :4] = torch.arange(5.0).unsqueeze(1).view(torch.uint8)
    norm.update(rows)
    normalize = norm.as_function()
    assert torch.equal(normalize(rows[2:3])[0], normalize(rows)[2])


class Facing(gym.Env):
    """A picture of 147 bytes and a direction, as minigrid has them."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012 - as in Gymnasium's own

    def __init__(self, render_mode=None):
        self.render_mode, self.count = render_mode, 0
        self.observation_space = Dict(image=Box(0, 255, (7, 7, 3), np.uint8), direction=Discrete(4))
        self.action_space = Discrete(3)

    def _seen(self):
        return {"image": np.full((7, 7, 3), self.count, np.uint8), "direction": self.count % 4}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self.count = 0
        return self._seen(), {}

    def step(self, action):
        self.count += 1
        return self._seen(), float(action == self.count % 3), self.count > 9, False, {}

    def render(self):
        return np.zeros((16, 16, 3), np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("agent", [DQN, PPO])
def test_one_environment_with_an_image_and_a_number_is_learnt_played_and_filmed(agent, monkeypatch, tmp_path):
    name = points.register(monkeypatch, Facing)
    seed_everything(0, verbose=False)
    short = {"eval_every": 60, "eval_episodes": 2, "eval_envs": 1}
    if agent is DQN:
        data = ReplayData(name, total_steps=120, learning_starts=40, batch_size=8, train_freq=10, **short)
        model = DQN(**data.facts(), hidden=[8])
    else:
        data = RolloutData(name, total_steps=96, num_envs=1, num_steps=32, **short)
        model = PPO(**data.facts(), hidden=[8], batch_size=32, update_epochs=1)
    fit(model, data)
    factory, cpu = EnvFactory(name), torch.device("cpu")
    assert np.isfinite(evaluation.play(model.greedy, factory, [1], cpu)).all()
    assert 0 <= evaluation.record_video(model.greedy, factory, 1, cpu, tmp_path / "a.mp4") <= 10
