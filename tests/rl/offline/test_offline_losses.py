"""The losses of offline agents against torchrl's or closed forms, and what the Decision Transformer may look at."""

import copy

import numpy as np
import pytest
import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch.nn import functional as F
from torchrl.data import OneHot
from torchrl.modules import IndependentNormal, ProbabilisticActor, QValueActor
from torchrl.objectives import DiscreteCQLLoss, IQLLoss, TD3BCLoss

from lab.errors import BadSetting
from lab.rl.data.episodes import record
from lab.rl.envs.factory import EnvFactory
from lab.rl.offline.behavior_cloning import BehaviorCloning
from lab.rl.offline.cql import CQL
from lab.rl.offline.decision_transformer import DecisionTransformer, rank_correlation
from lab.rl.offline.iql import IQL
from lab.rl.offline.td3_bc import TD3BC
from tests.rl.peer import One, as_tensordict, load, transitions

GAMMA = 0.98
TORQUE = {"low": [-1.0], "high": [3.0]}
FACTS = {"env": "Pendulum-v1", "observation_size": 3, "action": TORQUE}
CHOICE = {"env": "CartPole-v1", "observation_size": 3, "action": {"count": 2}}


def make(kind, facts=FACTS, **settings):
    torch.manual_seed(0)
    agent = kind(**facts, hidden=[32, 32], **settings)
    for name, parameter in agent.named_parameters():
        if name.startswith("target"):
            parameter.add_(0.05 * torch.randn_like(parameter))  # targets that differ, so that mixing them up shows
    return agent


def test_behavior_cloning_is_supervised_learning():
    observation, action, *_ = transitions(**TORQUE)
    agent = make(BehaviorCloning)
    expected = ((agent(observation) - action) / 2).square().mean()  # in units of half the range
    torch.testing.assert_close(agent.loss(observation, action), expected)
    agent, chosen = make(BehaviorCloning, CHOICE), torch.arange(len(observation)) % 2
    torch.testing.assert_close(agent.loss(observation, chosen), F.cross_entropy(agent.policy.net(observation), chosen))


def test_td3_bc_is_that_of_torchrl(monkeypatch):
    bounds = {"low": [-1.0], "high": [1.0]}  # where units are the same
    agent = make(TD3BC, FACTS | {"action": bounds}, gamma=GAMMA, alpha=2.5)
    *transition, noise = transitions(**bounds, noises=1)
    actor = TensorDictModule(copy.deepcopy(agent.actor), ["observation"], ["action"])
    critic = TensorDictModule(One(agent.critics), ["observation", "action"], ["state_action_value"])
    limits = (torch.tensor([-1.0]), torch.tensor([1.0]))
    theirs = TD3BCLoss(actor, critic, loss_function="l2", policy_noise=0.2, noise_clip=0.5, bounds=limits, alpha=2.5)
    theirs.make_value_estimator(gamma=GAMMA)
    load(theirs, actor_network_params=agent.actor, target_actor_network_params=agent.target_actor)
    load(theirs, qvalue_network_params=agent.critics, target_qvalue_network_params=agent.target_critics)
    monkeypatch.setattr(torch, "randn_like", lambda like: noise.view_as(like))
    found = theirs(as_tensordict(*transition))
    torch.testing.assert_close(agent.actor_loss(*transition[:2]), found["loss_actor"])
    smoothed = (0.2 * noise).clamp(-0.5, 0.5)
    torch.testing.assert_close(agent.critic_loss(*transition, smoothed)[0], found["loss_qvalue"])


def test_iql_is_that_of_torchrl():
    agent = make(IQL, gamma=GAMMA, expectile=0.8, temperature=2.0)
    observation, action, *rest = transitions(**TORQUE)
    own = (action - 1) / 2

    class Gaussian(torch.nn.Module):
        def forward(self, seen):
            mean, log_std = agent.actor(seen).chunk(2, -1)
            return mean, log_std.exp()

    gaussian = TensorDictModule(Gaussian(), ["observation"], ["loc", "scale"])
    policy = ProbabilisticActor(gaussian, in_keys=["loc", "scale"], distribution_class=IndependentNormal)

    class Scaled(torch.nn.Module):
        """A critic that takes actions in the policy's units, as torchrl's loss has only one kind."""

        def __init__(self):
            super().__init__()
            self.one = One(agent.critics)

        def forward(self, seen, chosen):
            return self.one(seen, 1 + 2 * chosen)

    critic = TensorDictModule(Scaled(), ["observation", "action"], ["state_action_value"])
    value = TensorDictModule(copy.deepcopy(agent.value), ["observation"], ["state_value"])
    theirs = IQLLoss(policy, critic, value, num_qvalue_nets=2, loss_function="l2", temperature=2.0, expectile=0.8)
    theirs.make_value_estimator(gamma=GAMMA)
    for params, critics in (
        (theirs.qvalue_network_params, agent.critics),
        (theirs.target_qvalue_network_params, agent.target_critics),
    ):
        for key, parameter in critics.named_parameters():
            params["module", "one", *key.split(".")].data.copy_(parameter.data)
    found = theirs(as_tensordict(observation, own, *rest))
    actor_loss, critic_loss, value_loss, _ = agent.losses(observation, action, *rest)
    torch.testing.assert_close(critic_loss, found["loss_qvalue"])
    torch.testing.assert_close(value_loss, found["loss_value"])
    torch.testing.assert_close(actor_loss, found["loss_actor"])


def test_cql_is_that_of_torchrl():
    agent = make(CQL, CHOICE, gamma=GAMMA, alpha=0.7, double=False)
    observation, _, *rest = transitions(**TORQUE)
    action = torch.arange(len(observation)) % 2
    network = TensorDictModule(copy.deepcopy(agent.network), ["observation"], ["raw"])
    squeeze = TensorDictModule(lambda raw: raw.squeeze(-1), ["raw"], ["action_value"])
    actor = QValueActor(TensorDictSequential(network, squeeze), spec=OneHot(2), action_space="one_hot")
    theirs = DiscreteCQLLoss(actor, loss_function="smooth_l1", delay_value=True, action_space="one_hot")
    theirs.make_value_estimator(gamma=GAMMA)
    read = as_tensordict(observation, F.one_hot(action, 2), *rest)
    conservative = theirs(read)["loss_cql"]
    reward, following, terminated = rest
    inputs = (reward, following, terminated, torch.full_like(reward, GAMMA), torch.zeros(2, 0))
    plain = super(CQL, agent).loss(observation, action, *inputs)[0]
    torch.testing.assert_close(agent.loss(observation, action, *inputs)[0] - plain, 0.7 * conservative)


def test_observations_are_normalized_where_they_meet_the_networks():
    agent = make(IQL)
    agent.observation_norm.mean += 1.0
    agent.observation_norm.var *= 4.0
    observation, action, reward, following, terminated = (each[None] for each in transitions(**TORQUE))
    after = {"observation": following, "reward": reward, "terminated": terminated}
    block = TensorDict({"observation": observation, "action": action, "next": after}, [1, len(action[0])])
    seen, _, _, later, _ = agent.update_inputs(block)
    torch.testing.assert_close(seen, (observation - 1) / 2)
    torch.testing.assert_close(later, (following - 1) / 2)
    torch.testing.assert_close(block["observation"], observation)  # the data is left alone


@pytest.mark.parametrize(("kind", "line"), [(TD3BC, "use task=cql"), (IQL, "use task=cql")])
def test_discrete_actions_are_refused_where_there_must_be_continuous_ones(kind, line):
    with pytest.raises(BadSetting, match=line):
        make(kind, CHOICE)
    with pytest.raises(BadSetting, match="use task=td3_bc or task=iql"):
        make(CQL)


# ------------------------------------------------------------------------------------------------ Decision Transformer


@pytest.fixture
def transformer():
    def made(facts=CHOICE | {"observation_size": 4}, **settings):
        torch.manual_seed(0)
        agent = DecisionTransformer(**facts, **({"context": 4, "width": 16, "depth": 1} | settings)).eval()
        agent.return_scale.fill_(50.0)
        return agent

    return made


@pytest.fixture(params=["discrete", "continuous"])
def window(request, transformer):
    facts = CHOICE if request.param == "discrete" else FACTS
    agent = transformer(facts)
    generator = torch.Generator().manual_seed(1)
    observation, rtg = torch.randn(2, 4, 3, generator=generator), torch.randn(2, 4, 1, generator=generator)
    action = torch.randn(2, 4, 1, generator=generator)
    action = (action[..., 0] > 0).long() if request.param == "discrete" else action
    return agent, [observation, action, rtg, torch.arange(4).expand(2, 4)]


def test_nothing_later_is_seen(window):
    agent, inputs = window
    before = agent(*inputs)
    for number, (changed, first) in enumerate([(0, 2), (1, 3), (2, 2)]):  # its own action is not seen either
        other = [each.clone() for each in inputs]
        other[changed][:, 2:] = 1 - other[changed][:, 2:]
        after = agent(*other)
        torch.testing.assert_close(after[:, :first], before[:, :first])
        if first < 4:
            assert not torch.allclose(after[:, first:], before[:, first:]), number


def test_steps_behind_an_episode_have_no_loss(window):
    agent, inputs = window
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    changed = [each.clone() for each in inputs]
    changed[0][~mask] += 5.0
    changed[1][~mask] = 1 - changed[1][~mask]
    torch.testing.assert_close(agent.loss(*inputs, mask), agent.loss(*changed, mask))


def test_episodes_are_shown_as_windows_of_the_data_are(transformer):
    agent, factory = transformer(context=5), EnvFactory("CartPole-v1")
    played = record(agent.policy(lambda number: 30.0 + number), factory, range(3), num_envs=2)
    for number, episode in enumerate(played):
        steps = len(episode.rewards)
        gained = np.cumsum([0.0, *episode.rewards[:-1]])
        rtg = torch.tensor(30.0 + number - gained, dtype=torch.float32)[:, None]
        for first in (0, max(0, steps - 5)):
            rows = slice(first, min(first + 5, steps))
            seen, action = torch.from_numpy(episode.observations[rows]), torch.from_numpy(episode.actions[rows])
            logits = agent(seen[None], action[None], rtg[rows][None], torch.arange(steps)[rows][None])
            assert logits[0, -1].argmax() == action[-1]


def test_ranks_are_those_of_spearman():
    one, other = np.random.default_rng(0).normal(size=(2, 20))
    from scipy.stats import spearmanr

    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert rank_correlation(one, np.ones(20)) == 0.0


def test_a_transformer_refuses_heads_that_do_not_divide_its_width(transformer):
    with pytest.raises(BadSetting, match="3 heads do not divide the width 16"):
        transformer(heads=3)
