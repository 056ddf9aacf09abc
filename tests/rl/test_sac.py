"""SAC: log-densities against torch's own distributions, losses against torchrl's, its entropy coefficient."""

import copy
import math

import pytest
import torch
from lightning import seed_everything
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictModule
from torch.distributions import AffineTransform, Independent, Normal, TanhTransform, TransformedDistribution
from torchrl.data import Bounded
from torchrl.modules import TanhNormal
from torchrl.objectives import SACLoss

from lab.errors import BadSetting
from lab.rl.data.replay import ReplayData
from lab.rl.networks.actor_critic import Critics, GaussianActor, log_tanh_derivative
from lab.rl.networks.exploration import StochasticExploration
from lab.rl.sac import SAC
from tests.rl import points
from tests.rl.peer import One, as_tensordict, load, transitions

GAMMA, TAU = 0.98, 0.02
FACTS = {"env": "Pendulum-v1", "observation_size": 3, "action": {"low": [-1.0, -1.0], "high": [1.0, 1.0]}}


def batch():
    return transitions(**FACTS["action"], noises=2)


def make(kind=SAC, **settings):
    torch.manual_seed(0)
    agent = kind(**FACTS, **({"gamma": GAMMA, "tau": TAU, "hidden": [32, 32], "alpha_init": 0.3} | settings))
    with torch.no_grad():
        agent.actor.net[-1].weight.mul_(100)  # means and deviations that matter
        for parameter in [*agent.critics.parameters(), *agent.target_critics.parameters()]:
            parameter.add_(0.1 * torch.randn_like(parameter))  # targets that differ, so that mixing them up shows
    return agent


class Gaussian(torch.nn.Module):
    def __init__(self, actor):
        super().__init__()
        self.actor = copy.deepcopy(actor)

    def forward(self, observation):
        mean, log_deviation = self.actor._gaussian(observation)
        return mean, log_deviation.exp()


def against_torchrl(agent, loss, monkeypatch, **settings):
    """Losses and gradients of `agent` and of torchrl's `loss` with the same weights, batch and noise are equal."""
    network = TensorDictModule(Gaussian(agent.actor), ["observation"], ["loc", "scale"])
    sampler = ProbabilisticTensorDictModule(
        ["loc", "scale"],
        ["action"],
        distribution_class=TanhNormal,
        distribution_kwargs={"tanh_loc": False},
        return_log_prob=True,
    )
    actor = ProbabilisticTensorDictSequential(network, sampler)
    critic = TensorDictModule(One(agent.critics), ["observation", "action"], ["state_action_value"])
    spec = Bounded(-1, 1, (2,))
    theirs = loss(actor, critic, alpha_init=0.3, action_spec=spec, **settings)
    theirs.make_value_estimator(gamma=GAMMA)
    load(theirs, qvalue_network_params=agent.critics, target_qvalue_network_params=agent.target_critics)
    *transition, noise, next_noise = data = batch()
    waiting = [next_noise, noise]  # torchrl draws for the next state first
    monkeypatch.setattr(torch.distributions.normal, "_standard_normal", lambda *_, **__: waiting.pop(0))
    found = theirs(as_tensordict(*transition))
    assert not waiting
    *losses, _, entropy = agent.losses(*data)
    close = {"rtol": 1e-4, "atol": 1e-5}  # torchrl finds the Gaussian's sample again by atanh
    for mine, name in zip(losses, ("loss_actor", "loss_qvalue", "loss_alpha"), strict=True):
        torch.testing.assert_close(mine, found[name], **close)
    torch.testing.assert_close(entropy, found["entropy"], **close)
    (found["loss_actor"] + found["loss_qvalue"] + found["loss_alpha"]).backward()
    actor_names = [f"module.0.module.actor.{name}" for name, _ in agent.actor.named_parameters()]
    critic_names = [f"module.{name}" for name, _ in agent.critics.named_parameters()]
    their = (
        [theirs.actor_network_params[tuple(name.split("."))].grad for name in actor_names],
        [theirs.qvalue_network_params[tuple(name.split("."))].grad for name in critic_names],
        [theirs.log_alpha.grad],
    )
    for one, group, gradients in zip(losses, agent.groups(), their, strict=True):
        for mine, other in zip(torch.autograd.grad(one, group), gradients, strict=True):
            torch.testing.assert_close(mine, other, **close)


def test_losses_and_gradients_are_those_of_torchrl(monkeypatch):
    against_torchrl(make(), SACLoss, monkeypatch, loss_function="l2")


def test_log_densities_are_those_of_torchs_distributions():
    """In double precision, against a Gaussian sent through torch's own tanh and its own scaling to the bounds."""
    torch.manual_seed(0)
    actor = GaussianActor(3, {"low": [-1.0, -3.0], "high": [1.0, 5.0]}, [32]).double()
    observation, noise = torch.randn(1000, 3).double(), torch.randn(1000, 2).double()
    actor._gaussian = lambda seen: (0.7 * seen[:, :2], 0.5 * seen[:, 1:])
    action, found = actor.sample(observation, noise)
    mean, log_deviation = actor._gaussian(observation)
    center, scale = torch.tensor([0.0, 1.0]).double(), torch.tensor([1.0, 4.0]).double()
    squashed = [TanhTransform(cache_size=1), AffineTransform(center, scale, cache_size=1)]
    distribution = Independent(TransformedDistribution(Normal(mean, log_deviation.exp()), squashed), 1)
    in_unit = squashed[1](squashed[0](mean + log_deviation.exp() * noise))  # remembered, so that atanh is not needed
    torch.testing.assert_close(action, in_unit)
    wanted = distribution.log_prob(in_unit) + scale.log().sum()  # ours is the density of the action within [-1, 1]
    torch.testing.assert_close(found.squeeze(-1), wanted, rtol=1e-10, atol=1e-10)


def test_densities_add_up_to_one():
    """A fine grid over the actions themselves: the mass that the densities give, and their entropy by quadrature."""
    mean, deviation, n = 0.4, 0.8, 200_001
    actor = GaussianActor(1, {"low": [-1.0], "high": [1.0]}, [8])
    actor._gaussian = lambda seen: (torch.full_like(seen, mean), torch.full_like(seen, math.log(deviation)))
    action = torch.linspace(-1, 1, n, dtype=torch.float64)[1:-1].unsqueeze(-1)
    noise = (torch.atanh(action) - mean) / deviation
    again, log_density = actor.double().sample(torch.zeros_like(action), noise)
    torch.testing.assert_close(again, action)
    density = log_density.exp()
    assert float(density.sum() * 2 / (n - 1)) == pytest.approx(1, abs=1e-7)
    quadrature = float(-(density * log_density).sum() * 2 / (n - 1))
    torch.manual_seed(0)
    drawn = -actor.sample(torch.zeros(1_000_000, 1).double(), torch.randn(1_000_000, 1).double())[1]
    assert float(drawn.mean()) == pytest.approx(quadrature, abs=5 * float(drawn.std()) / 1000)


@pytest.mark.parametrize("raw", [0.0, 1e-4, 0.5, -3.0, 9.5, -20.0, 300.0])
def test_the_slope_of_tanh_has_a_logarithm_where_tanh_rounds_to_one(raw):
    value = torch.tensor(raw, requires_grad=True)
    found = log_tanh_derivative(value)
    wanted = -2 * (abs(raw) + math.log1p(math.exp(-2 * abs(raw))) - math.log(2))  # -2 log cosh
    assert float(found) == pytest.approx(wanted, rel=1e-6, abs=3e-7)
    (gradient,) = torch.autograd.grad(found, value)
    assert float(gradient) == pytest.approx(-2 * math.tanh(raw), rel=1e-6, abs=1e-7)


def test_only_termination_ends_the_future():
    agent, (observation, action, reward, next_observation, _, noise, next_noise) = make(), batch()
    values = agent.critics(observation, action)
    ended = torch.ones_like(reward, dtype=torch.bool)
    found = agent.losses(observation, action, reward, next_observation, ended, noise, next_noise)[1]
    torch.testing.assert_close(found, sum((value - reward).square().mean() for value in values))
    following, log_density = agent.actor.sample(next_observation, next_noise)
    future = agent.target_critics(next_observation, following).amin(0) - 0.3 * log_density
    found = agent.losses(observation, action, reward, next_observation, ~ended, noise, next_noise)[1]
    torch.testing.assert_close(found, sum((value - reward - GAMMA * future).square().mean() for value in values))


@pytest.mark.parametrize(("target", "dearer"), [(-50.0, False), (50.0, True)])
def test_the_entropy_coefficient_rises_where_entropy_is_lacking(target, dearer):
    agent = make(target_entropy=target)
    state, before = agent.configure_optimizers().tensors(), float(agent.log_alpha)
    agent._update(state, *batch(), measure=False)
    assert (float(agent.log_alpha) > before) is dearer


def test_one_update_moves_the_targets_by_tau():
    agent = make()
    before = [parameter.clone() for parameter in agent.target_critics.parameters()]
    agent._update(agent.configure_optimizers().tensors(), *batch(), measure=False)
    for old, target, critic in zip(before, agent.target_critics.parameters(), agent.critics.parameters(), strict=True):
        torch.testing.assert_close(target.data, old + TAU * (critic.data - old))


def test_exploration_draws_from_the_policy_whose_density_is_used():
    agent = make()
    observation = torch.randn(1, 3).expand(50_000, 3)
    torch.manual_seed(0)
    drawn = StochasticExploration(agent.actor)(TensorDict({"observation": observation}, [50_000]))["action"]
    torch.manual_seed(0)
    wanted, _ = agent.actor.sample(observation, torch.randn(50_000, 2))
    torch.testing.assert_close(drawn, wanted)
    torch.testing.assert_close(agent(observation)[0], drawn.median(0).values, atol=0.02, rtol=0)


def test_the_target_is_the_smallest_of_a_sampled_subset():
    agent = make(num_critics=4, subset_size=2)
    observation, action, reward, following, _, noise, next_noise = batch()
    ended = torch.zeros_like(reward, dtype=torch.bool)
    chosen, log_density = agent.actor.sample(following, next_noise)
    each = agent.target_critics(following, chosen)
    values = agent.critics(observation, action)
    for pair in ([0, 3], [1, 2]):
        goal = reward + GAMMA * (torch.minimum(each[pair[0]], each[pair[1]]) - 0.3 * log_density)
        inputs = (observation, action, reward, following, ended, noise, next_noise, torch.tensor(pair))
        torch.testing.assert_close(agent.losses(*inputs)[1], sum((one - goal).square().mean() for one in values))
    climbed, density = agent.actor.sample(observation, noise)
    wanted = (0.3 * density - agent.critics(observation, climbed).mean(0)).mean()
    torch.testing.assert_close(agent.losses(*inputs)[0], wanted)
    rows = {name: torch.stack([column] * 50) for name, column in zip(("observation", "action"), inputs, strict=False)}
    ends = {"observation": following, "reward": reward, "terminated": ended}
    rows["next"] = {name: torch.stack([column] * 50) for name, column in ends.items()}
    subsets = agent.update_inputs(TensorDict(rows, [50, 32]))[-1]
    assert subsets.shape == (50, 2)
    assert {tuple(sorted(pair)) for pair in subsets.tolist()} == {(i, j) for j in range(4) for i in range(j)}


def test_the_actor_waits_for_the_critics():
    agent = make(policy_delay=3)
    state, before = agent.configure_optimizers().tensors(), [weight.clone() for weight in agent.parameters()]
    assert [agent.update_flags(number)["step_actor"] for number in range(6)] == [False, False, True] * 2
    measured = agent._update(state, *batch(), measure=True, step_actor=False)
    moved = [not torch.equal(old, new) for old, new in zip(before, agent.parameters(), strict=True)]
    names = [name.partition(".")[0] for name, _ in agent.named_parameters()]
    assert {name for name, it in zip(names, moved, strict=True) if it} == {"critics", "target_critics"}
    assert set(measured) == {"loss/critic", "q/mean", "gradient_norm/critic"}
    loss, _ = agent.critic_loss(*[each for place, each in enumerate(batch()) if place != 5])
    torch.testing.assert_close(loss, agent.losses(*batch())[1])


def test_hidden_layers_of_critics_are_dropped_and_normalised():
    torch.manual_seed(0)
    critics = Critics(3, 2, [16, 8], num_critics=2, layer_norm=True, dropout=0.5)
    observation, action = torch.randn(4, 3), torch.randn(4, 2)
    assert not torch.equal(critics(observation, action), critics(observation, action))
    critics.eval()
    for number, found in enumerate(critics(observation, action)):
        values = torch.cat([observation, action], -1)
        for layer in range(2):
            values = values @ critics.weights[layer][number] + critics.biases[layer][number]
            values = torch.nn.functional.layer_norm(values, values.shape[-1:]).relu()
        torch.testing.assert_close(found, values @ critics.weights[2][number] + critics.biases[2][number])


def test_more_critics_than_there_are_cannot_be_sampled():
    with pytest.raises(BadSetting, match=r"subset_size: expected at most num_critics \(2\), found 3"):
        make(subset_size=3)


@pytest.mark.long
def test_droq_learns_in_few_steps():
    seed_everything(100, verbose=False)
    data = ReplayData(
        "Pendulum-v1", 2_500, learning_starts=500, batch_size=64, train_freq=10, updates_per_step=10, eval_every=2_500,
        eval_envs=20,
    )  # fmt: skip
    own = {"subset_size": 2, "layer_norm": True, "dropout": 0.01, "policy_delay": 10, "tau": 0.005}
    agent = SAC(**data.facts(), hidden=[64, 64], lr=1e-3, gamma=0.95, **own)
    assert points.fit(agent, data).callback_metrics["val/return"] > -200
