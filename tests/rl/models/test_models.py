"""Models of environments: their losses and steps, and the batches that MBPO learns from."""

import pytest
import torch
from torch import nn

from lab.errors import BadSetting
from lab.rl.models.dynamics import DynamicsModel
from lab.rl.models.mbpo import MBPO

ROWS = 20


@pytest.fixture
def batch():
    torch.manual_seed(0)
    ended = torch.rand(ROWS, 1) < 0.3
    return [torch.randn(ROWS, 3), torch.randn(ROWS, 1), torch.randn(ROWS, 1), torch.randn(ROWS, 3), ended]


def agent(**settings):
    torch.manual_seed(1)
    action = {"low": [-2.0], "high": [2.0]}
    return MBPO("Pendulum-v1", 3, action, hidden=[8], model_hidden=[8], num_members=4, **settings)


@pytest.mark.parametrize("probabilistic", [True, False])
def test_the_loss_is_the_sum_of_the_members_losses_by_torchs_own(batch, probabilistic):
    model = DynamicsModel(3, 1, [8], num_members=4, probabilistic=probabilistic)
    model.observe(*batch[:4])
    expected = 0.0
    for member in range(4):
        layers = [nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 9)]
        for layer, weight, bias in zip(layers[::2], model.network.weights, model.network.biases, strict=True):
            layer.weight.data, layer.bias.data = weight[member].T, bias[member, 0]
        observation, action, reward, following, ended = (each[5 * member : 5 * member + 5] for each in batch)
        rows = torch.cat([observation, action], 1)
        found = nn.Sequential(*layers)((rows - model.inputs.mean) / model.inputs.var.sqrt())
        target = torch.cat([following - observation, reward], 1)
        target = (target - model.targets.mean) / model.targets.var.sqrt()
        spread = model(observation.expand(4, -1, -1), action.expand(4, -1, -1)).log_var[member].exp()
        if probabilistic:
            likelihood = nn.GaussianNLLLoss(reduction="none")(found[:, :4], target, spread)
        else:
            likelihood = nn.MSELoss(reduction="none")(found[:, :4], target)
        expected = expected + likelihood.sum(1).mean() + nn.BCEWithLogitsLoss()(found[:, 8:], ended.float())
    torch.testing.assert_close(model.loss(*batch), expected)


def test_a_step_has_the_predicted_mean_and_deviation(batch):
    model = DynamicsModel(3, 1, [8], num_members=2)
    model.observe(*batch[:4])
    observation, action = torch.randn(1, 1, 3).expand(2, 5_000, -1), torch.zeros(2, 5_000, 1)
    mean, reward, ended = model.step(observation, action, None)
    sampled, _, _ = model.step(observation, action, torch.randn(2, 5_000, 4))
    predicted = model(observation, action)
    deviation = (0.5 * predicted.log_var[..., :3]).exp() * model.targets.var[:3].sqrt()
    torch.testing.assert_close(sampled.mean(1), mean[:, 0], atol=0.08, rtol=0)
    torch.testing.assert_close(sampled.std(1), deviation[:, 0], atol=0.08, rtol=0)
    assert reward.shape == ended.shape == (2, 5_000, 1)


@pytest.mark.slow
def test_a_model_learns_when_an_episode_ends():
    torch.manual_seed(0)
    model = DynamicsModel(1, 1, [16], num_members=2)
    observation, action = torch.rand(400, 1) * 2 - 1, torch.zeros(400, 1)
    rows = (observation, action, torch.ones(400, 1), observation + 0.1, observation > 0.5)
    model.observe(*rows[:4])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(120):
        optimizer.zero_grad()
        model.loss(*rows).backward()
        optimizer.step()
    tried = torch.tensor([[[-0.5], [0.0], [0.3], [0.8]]]).expand(2, -1, -1)
    following, _, ended = model.step(tried, torch.zeros(2, 4, 1), None)
    assert (ended > 0.5).squeeze(-1).tolist() == [[False, False, False, True]] * 2
    assert (following - tried - 0.1).abs().max() < 0.05


def test_a_mixed_batch_begins_with_real_rows_and_goes_on_with_the_models(batch):
    mbpo = agent(real_ratio=0.4)
    mbpo.model.observe(*batch[:4])
    noise = torch.randn(1, ROWS, 5)
    mixed = mbpo.mixed(batch, noise)
    for new, old in zip(mixed, batch, strict=True):
        assert torch.equal(new[:8], old[:8])
    assert torch.equal(mixed[0], batch[0])  # rollouts of one step begin where the real ones did
    for row in range(8, ROWS):
        action = mbpo.actor.sample(batch[0][row : row + 1], noise[0, row : row + 1, :1])[0]
        every = [each.expand(4, 1, -1) for each in (batch[0][row : row + 1], action, noise[0, row : row + 1, 1:])]
        following, reward, _ = (each[row % 4, 0] for each in mbpo.model.step(*every))
        torch.testing.assert_close(mixed[1][row], action[0])
        torch.testing.assert_close(mixed[2][row], reward)
        torch.testing.assert_close(mixed[3][row], following)


def test_longer_rollouts_go_on_from_where_the_model_led(batch):
    mbpo = agent(real_ratio=0.0, rollout_length=2)
    mbpo.model.observe(*batch[:4])
    noise = torch.randn(2, ROWS, 5)
    once = agent(real_ratio=0.0)
    once.load_state_dict(mbpo.state_dict())
    first, both = once.mixed(batch, noise[:1]), mbpo.mixed(batch, noise)
    longer = (torch.arange(ROWS) // 4 % 2 == 1) & ~first[4][:, 0]
    assert torch.equal(both[0][longer], first[3][longer])
    assert torch.equal(both[3][~longer], first[3][~longer])


def test_a_batch_of_real_transitions_is_that_of_sac(batch):
    assert all(a is b for a, b in zip(agent(real_ratio=1.0).mixed(batch, torch.randn(1, ROWS, 5)), batch, strict=True))


def test_images_are_refused():
    with pytest.raises(BadSetting, match="vectors"):
        DynamicsModel([3, 8, 8], 1, [8], 2)
