"""TQC: its losses against torchrl's, the sums of Huber losses against every pair, and what is cut off."""

import pytest
import torch
from torchrl.objectives import TQCLoss

from lab.errors import BadSetting
from lab.rl.common.quantiles import huber_sums
from lab.rl.tqc import TQC
from tests.rl.test_sac import FACTS, against_torchrl, make

SIZES = {"num_critics": 3, "num_quantiles": 7, "top_quantiles_to_drop": 2}


def test_losses_and_gradients_are_those_of_torchrl(monkeypatch):
    settings = {"num_qvalue_nets": 3, "top_quantiles_to_drop_per_net": 2}
    against_torchrl(make(TQC, **SIZES), TQCLoss, monkeypatch, **settings)


@pytest.mark.parametrize("spread", [0.01, 1.0, 100.0])
def test_huber_sums_are_those_over_every_pair(spread):
    torch.manual_seed(0)
    values = (spread * torch.randn(8, 20) - 50).requires_grad_()
    atoms = (spread * torch.randn(8, 30) - 50).sort(-1).values
    with torch.no_grad():
        values[0, :3] = atoms[0, :3] + torch.tensor([0.0, 1.0, -1.0])  # on the seams
    error = atoms.unsqueeze(1) - values.unsqueeze(-1)
    pairs = torch.nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none")
    wanted = (pairs * (error < 0)).sum(-1), (pairs * (error > 0)).sum(-1)
    for mine, brute in zip(huber_sums(values, atoms), wanted, strict=True):
        torch.testing.assert_close(mine, brute, rtol=1e-4, atol=1e-3 * spread)
        gradients = [torch.autograd.grad(one.sum(), values, retain_graph=True)[0] for one in (mine, brute)]
        torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-3)


def test_the_highest_quantiles_of_all_critics_together_are_cut_off():
    agent = make(TQC, **SIZES)
    values = torch.zeros(3, 1, 7)
    values[0] = 100 + torch.arange(7)  # one optimist holds all that is cut off
    found = agent._next_value(values)
    assert found.shape == (1, 3 * 5)
    assert found.sum() == 100
    torch.testing.assert_close(agent._actor_objective(values), values.mean().reshape(1, 1))


@pytest.mark.slow
def test_quantiles_of_a_known_distribution_are_learned():
    """Critics that see nothing but noise in the goal settle on the goal's quantiles."""
    torch.manual_seed(0)
    agent = make(TQC, num_critics=1, num_quantiles=5, top_quantiles_to_drop=0)
    values = torch.zeros(1, 1, 5, requires_grad=True)
    goal = (200 * torch.rand(1, 4000)).sort(-1).values
    optimizer = torch.optim.Adam([values], lr=2.0)
    for _ in range(400):
        optimizer.zero_grad()
        agent._critic_loss(values, goal).backward()
        optimizer.step()
    torch.testing.assert_close(values.flatten(), torch.tensor([20.0, 60.0, 100.0, 140.0, 180.0]), atol=5.0, rtol=0)


def test_something_is_left_of_the_quantiles():
    with pytest.raises(BadSetting, match=r"expected less than num_quantiles \(7\), found 7"):
        TQC(**FACTS, num_quantiles=7, top_quantiles_to_drop=7)


def test_hyperparameters_are_those_of_the_class():
    assert make(TQC, **SIZES).hparams.items() >= {**SIZES, "gamma": 0.98, "env": "Pendulum-v1"}.items()
