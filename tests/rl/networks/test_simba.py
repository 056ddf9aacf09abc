"""SimBa: actor and critics against the blocks of the paper written out, its switch, and that it learns."""

import pytest
import torch
from lightning import seed_everything
from torch import nn

from lab.errors import BadSetting
from lab.rl.data.replay import ReplayData
from lab.rl.networks.simba import Simba, SimbaActor, SimbaCritics
from lab.rl.sac import SAC
from tests.rl import points

BOUNDS = {"low": [-2.0, -1.0], "high": [2.0, 1.0]}


def written_out(network, features):
    first, *blocks, norm, last = network
    values = first(features)
    for block in blocks:
        values = values + block.down(torch.relu(block.up(block.norm(values))))
    return last(norm(values))


def test_an_actor_has_residual_blocks():
    torch.manual_seed(0)
    actor, observation = SimbaActor(3, BOUNDS, [8, 8]), torch.randn(4, 3)
    mean = written_out(actor.net, observation)[:, :2]
    torch.testing.assert_close(actor(observation), torch.tensor([2.0, 1.0]) * mean.tanh())
    assert [type(layer) for layer in actor.net][-2:] == [nn.LayerNorm, nn.Linear]


def test_each_critic_is_such_a_network():
    torch.manual_seed(0)
    critics = SimbaCritics(3, 2, [8, 8], num_critics=2)
    with torch.no_grad():
        for parameter in critics.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    observation, action = torch.randn(4, 3), torch.randn(4, 2)
    for number, found in enumerate(critics(observation, action)):
        alone = Simba(5, [8, 8], 1)
        linear = [layer for layer in alone.modules() if isinstance(layer, nn.Linear)]
        norms = [layer for layer in alone.modules() if isinstance(layer, nn.LayerNorm)]
        with torch.no_grad():
            for layer, weight, bias in zip(linear, critics.weights, critics.biases, strict=True):
                layer.weight.copy_(weight[number].T)
                layer.bias.copy_(bias[number, 0])
            for layer, gain, shift in zip(norms, critics.gains, critics.shifts, strict=True):
                layer.weight.copy_(gain[number, 0])
                layer.bias.copy_(shift[number, 0])
        torch.testing.assert_close(found, written_out(alone, torch.cat([observation, action], 1)))


def test_first_weights_are_those_of_the_paper():
    torch.manual_seed(0)
    critics = SimbaCritics(60, 4, [64], num_critics=2)
    first, up, down, last = critics.weights
    torch.testing.assert_close(first[1] @ first[1].T, torch.eye(64), atol=1e-5, rtol=0)
    assert float(up.std()) == pytest.approx((2 / 64) ** 0.5, rel=0.05)
    assert float(down.std()) == pytest.approx((2 / 256) ** 0.5, rel=0.05)
    assert float(last.abs().max()) <= 3e-3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": [64, 32]}, r"hidden: simba has blocks of one width, such as \[256, 256\]; found \[64, 32\]"),
        ({"hidden": []}, r"hidden: .* found \[\]"),
        ({"layer_norm": True}, "network: simba normalises its layers by itself"),
        ({"dropout": 0.1}, "network: simba normalises its layers by itself"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message):
    with pytest.raises(BadSetting, match=message):
        SAC("some", 3, BOUNDS, network="simba", **settings)


@pytest.mark.long
def test_it_learns():
    seed_everything(100, verbose=False)
    data = ReplayData(
        "Pendulum-v1", 4_000, learning_starts=500, batch_size=64, train_freq=10, eval_every=4_000, eval_envs=20
    )
    agent = SAC(
        **data.facts(), network="simba", hidden=[32, 32], lr=1e-3, gamma=0.95, tau=0.01, normalize_observations=True
    )
    assert points.fit(agent, data).callback_metrics["val/return"] > -250
