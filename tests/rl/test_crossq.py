"""CrossQ: batch renormalisation against torch's own and its published formula, the joint target, what is updated."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.rl.crossq import CrossQ
from lab.rl.networks.batch_renorm import BatchRenorm, RenormActor, RenormCritics, RenormMLP
from tests.rl.peer import transitions
from tests.rl.test_sac import FACTS


def make(**settings):
    torch.manual_seed(0)
    return CrossQ(**FACTS, **({"gamma": 0.98, "hidden": [16], "critic_hidden": [16], "alpha_init": 0.3} | settings))


def batch():
    return transitions(**FACTS["action"], noises=2)


def test_the_first_batches_are_normalised_as_by_torch():
    torch.manual_seed(0)
    mine, theirs = BatchRenorm(1, 5), nn.BatchNorm1d(5, eps=1e-3, momentum=0.01)
    for _ in range(3):
        features = (3 * torch.randn(64, 5) + 2).requires_grad_()
        weights = torch.randn(64, 5)
        found, wanted = mine.on_batch(features), theirs(features)
        torch.testing.assert_close(found, wanted)
        gradients = [torch.autograd.grad((weights * each).sum(), features)[0] for each in (found, wanted)]
        torch.testing.assert_close(*gradients)
    torch.testing.assert_close(mine.mean[0], theirs.running_mean)
    # torch's running variance is the unbiased one
    torch.testing.assert_close(mine.var[0] - 0.99**3, (theirs.running_var - 0.99**3) * 63 / 64, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(mine(features), theirs.eval()(features), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(("spread", "centre"), [(1.2, 0.3), (50.0, 40.0), (0.01, 0.0)])
def test_later_batches_are_corrected_by_the_published_formula(spread, centre):
    torch.manual_seed(0)
    norm = BatchRenorm(1, 3, warmup_steps=0)
    features = (spread * torch.randn(256, 3) + centre).requires_grad_()
    mean, deviation = features.mean(0), (features.var(0, correction=0) + 1e-3).sqrt()
    r = deviation.detach().clamp(1 / 3 * 1.001**0.5, 3 * 1.001**0.5) / 1.001**0.5  # the running ones are 0 and 1
    d = (mean.detach() / 1.001**0.5).clamp(-5, 5)
    wanted = (features - mean) / deviation * r + d
    seen = norm(features).detach()
    found = norm.on_batch(features)
    torch.testing.assert_close(found, wanted)
    if spread == 1.2:  # within the limits the values are those of `forward`
        torch.testing.assert_close(found, seen)
    weights = torch.randn(256, 3)
    gradients = [torch.autograd.grad((weights * each).sum(), features)[0] for each in (found, wanted)]
    torch.testing.assert_close(*gradients)


def test_each_critic_is_a_network_of_its_own():
    torch.manual_seed(0)
    critics = RenormCritics(3, 2, [8, 8], num_critics=2)
    observation, action = torch.randn(32, 3), torch.randn(32, 2)
    for _ in range(2):
        together = critics.on_batch(observation, action)
    for number in range(2):
        values = torch.cat([observation, action], -1)
        for layer in range(3):
            values = F.batch_norm(values.relu() if layer else values, None, None, training=True, eps=1e-3)
            values = values @ critics.weights[layer][number] + critics.biases[layer][number]
        torch.testing.assert_close(together[number], values)
    assert not torch.allclose(critics.norms[1].mean[0], critics.norms[1].mean[1])


def test_a_plain_function_gives_what_the_network_gives():
    torch.manual_seed(0)
    net = RenormMLP(4, [16, 16], 2)
    for _ in range(50):
        net.on_batch(2 * torch.randn(64, 4) + 1)
    features = torch.randn(8, 4)
    torch.testing.assert_close(net.as_function()(features), net(features))


def test_images_are_encoded_before_they_are_normalised():
    torch.manual_seed(0)
    actor = RenormActor({"screen": {"bytes": [1, 36, 36]}}, {"low": [-1.0], "high": [1.0]}, [8])
    action, _ = actor.sample_on_batch(torch.randint(0, 256, (8, 36 * 36), dtype=torch.uint8), torch.zeros(8, 1))
    assert action.shape == (8, 1)
    assert int(actor.net.net.norms[0].steps) == 1


def test_states_and_next_states_are_judged_in_one_batch():
    agent, (observation, action, reward, following, ended, _, noise) = make(), batch()
    copy = make()
    with torch.no_grad():
        chosen, log_density = copy.actor.sample(following, noise)
    both = copy.critics.on_batch(torch.cat([observation, following]), torch.cat([action, chosen]))
    ahead = both[:, 32:].detach().amin(0) - 0.3 * log_density
    goal = reward + 0.98 * ahead * ~ended
    wanted = sum((values - goal).square().mean() for values in both[:, :32])
    loss, mean = agent.critic_loss(observation, action, reward, following, ended, noise)
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(mean, both[:, :32].mean())
    gradients = [torch.autograd.grad(one, list(it.critics.parameters())) for one, it in ((loss, agent), (wanted, copy))]
    torch.testing.assert_close(*gradients)


def test_an_update_merges_each_batch_once_and_there_are_no_targets():
    agent = make()
    state = agent.configure_optimizers().tensors()
    assert not [name for name in agent.state_dict() if "target" in name]
    assert [betas for *_, betas in state] == [(0.5, 0.999), (0.5, 0.999), (0.9, 0.999)]
    for number in range(6):
        measured = agent._update(state, *batch(), measure=True, **agent.update_flags(number))
    assert {int(norm.steps) for norm in agent.critics.norms} == {6}
    assert {int(norm.steps) for norm in agent.actor.net.norms} == {2}
    assert {"loss/actor", "alpha", "q/mean"} < set(measured)


def test_adam_takes_its_own_decay_of_the_mean():
    agent = make(beta1=0.2)
    weight = agent.critics.weights[0]
    peer = nn.Parameter(weight.detach().clone())
    adam = torch.optim.Adam([peer], lr=1e-3, betas=(0.2, 0.999))
    state = agent.configure_optimizers().tensors()
    for _ in range(3):
        loss, _ = agent.critic_loss(*batch()[:5], batch()[6])
        peer.grad = torch.autograd.grad(loss, weight)[0]
        for norm in agent.critics.norms:  # the update merges the same batch again, which changes no training value
            norm.steps.sub_(1)
        adam.step()
        agent._update(state, *batch(), measure=False, step_actor=False)
    torch.testing.assert_close(weight.data, peer.data)


def test_it_trains_in_one_process():
    trainer = SimpleNamespace(world_size=2, precision="32-true")
    with pytest.raises(BadSetting, match="crossq learns in one process: set it to 1"):
        make().check_trainer(trainer)
