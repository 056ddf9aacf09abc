"""Exploration noise: bounds, size, drift, and a fresh start in every episode."""

import pytest
import torch
from tensordict import TensorDict
from torch import nn

from lab.rl.networks.exploration import GaussianNoise, OrnsteinUhlenbeckNoise

BOUNDS = {"low": [-2.0, 0.0], "high": [2.0, 1.0]}


class Middle(nn.Module):
    def forward(self, observation):
        return torch.tensor([0.0, 0.5]).expand(*observation.shape[:-1], 2)


def step(noise, is_init=False):
    state = TensorDict({"observation": torch.zeros(3), "is_init": torch.tensor([is_init])}, [])
    return noise(state)["action"]


@pytest.mark.parametrize("kind", [GaussianNoise, OrnsteinUhlenbeckNoise])
def test_actions_stay_within_their_bounds(kind):
    noise = kind(Middle(), BOUNDS, sigma=3.0)
    actions = torch.stack([step(noise) for _ in range(200)])
    assert (actions.amin(0) == torch.tensor(BOUNDS["low"])).all()
    assert (actions.amax(0) == torch.tensor(BOUNDS["high"])).all()


@pytest.mark.slow
def test_gaussian_noise_has_its_size_in_every_dimension():
    torch.manual_seed(0)
    noise = GaussianNoise(Middle(), BOUNDS, sigma=0.1)
    actions = torch.stack([step(noise) for _ in range(4000)])
    torch.testing.assert_close(actions.std(0), torch.tensor([0.2, 0.05]), rtol=0.05, atol=0)


@pytest.mark.slow
def test_ornstein_uhlenbeck_noise_drifts_as_its_equation_says():
    """x' = (1 - theta) x + sigma N has a lag-one correlation of 1 - theta and variance sigma² / (1 - (1 - theta)²)."""
    torch.manual_seed(0)
    noise = OrnsteinUhlenbeckNoise(Middle(), {"low": [-100.0] * 2, "high": [100.0] * 2}, sigma=0.01)
    x = torch.stack([step(noise) - torch.tensor([0.0, 0.5]) for _ in range(6_000)])
    correlation = (x[1:] * x[:-1]).mean() / x.square().mean()
    assert correlation == pytest.approx(0.85, abs=0.02)
    assert x.var() == pytest.approx(1 / (1 - 0.85**2), rel=0.1)


def test_ornstein_uhlenbeck_noise_starts_anew_with_every_episode():
    noise = OrnsteinUhlenbeckNoise(Middle(), BOUNDS, sigma=0.0)
    noise.state += 0.3
    assert step(noise, is_init=False)[0] == pytest.approx(0.3 * 0.85)
    assert step(noise, is_init=True)[0] == 0
