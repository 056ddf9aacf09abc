"""IPPO against PPO on what each agent went through, with agents that end early; its choices of learners; learning."""

import numpy as np
import pytest
import torch
from lightning import Callback, seed_everything

from lab.errors import BadSetting, LabError
from lab.rl.common.advantage import gae
from lab.rl.multi_agent.ippo import IPPO, TeamRolloutData
from tests.rl import points
from tests.rl.multi_agent.test_team import QUITTERS, RENDEZVOUS, Quitters

SMALL = {"hidden": [8], "batch_size": 8, "update_epochs": 2}


class Keep(Callback):
    """What the learners are given in the first rollout: steps, experience, values before and after each."""

    def __init__(self):
        self.found = []

    @torch.no_grad()
    def on_train_batch_start(self, trainer, agent, batch, index):  # noqa: ARG002
        if not self.found:
            for (learner, _), steps in zip(agent.parts(), agent.steps(batch), strict=True):
                values = [learner.value(each["observation"]) for each in (steps, steps["next"])]
                self.found.append((steps, learner.experience(steps), *values))


def fit(env, callbacks=(), *, data=None, **model):
    seed_everything(0, verbose=False)
    own = {"total_steps": 48, "num_envs": 2, "num_steps": 12, "eval_every": 48, "eval_episodes": 2, "test_episodes": 3}
    module = TeamRolloutData(env, **(own | (data or {})))
    agent = IPPO(**module.facts(), **(SMALL | model))
    return agent, module, points.fit(agent, module, callbacks)


def test_an_agent_that_has_ended_is_never_learnt_from():
    keep = Keep()
    agent, _, _ = fit(QUITTERS, [keep], share_params=False)
    (early, experience, value, _), (_, late, *_) = keep.found
    assert early["valid"][:8, 0].tolist() == [True, True, False, False] * 2
    assert early["next", "done"][:4, 0].tolist() == [False, True, False, False]
    assert early["next", "terminated"][:4, 0].tolist() == [False, True, False, False]
    assert len(experience.advantage) == 12
    assert experience.observation[:, 0].tolist() == [0, 0, 1, 1] * 3
    # two steps of reward 1 and an end, as if they were all there is
    first, second = value[:2, :1], value[1:2, :1]
    zero = torch.zeros(1, 1)
    expected = gae(
        first, torch.cat([second, zero]), torch.ones(2, 1), torch.tensor([[False], [True]]),
        torch.tensor([[False], [True]]), agent.learners[0].gamma, agent.learners[0].gae_lambda,
    )  # fmt: skip
    torch.testing.assert_close(experience.advantage[[0, 2]], expected.flatten())
    assert len(late.advantage) == 24


def test_an_agent_that_is_cut_off_bootstraps():
    keep = Keep()
    agent, _, _ = fit(QUITTERS, [keep], share_params=False)
    row = keep.found[1][0][3, 0]
    assert row["next", "done"]
    assert not row["next", "terminated"]
    assert row["next", "observation"].argmax() == 4
    _, experience, value, future = keep.found[1]
    expected = row["next", "reward"] + agent.learners[1].gamma * future[3, 0] - value[3, 0]
    torch.testing.assert_close(experience.advantage[6], expected)


def test_statistics_leave_out_what_is_not_valid():
    agent, _, _ = fit(QUITTERS, share_params=False, normalize_observations=True, normalize_rewards=True)
    early = agent.learners[0]
    assert int(early.observation_norm.count) == int(early.reward_scale.count) == 24
    torch.testing.assert_close(early.observation_norm.mean, torch.full((2,), 0.5))


def test_shared_parameters_know_who_acts_and_own_ones_are_apart():
    agent, data, _ = fit(RENDEZVOUS)
    assert len(agent.learners) == 1
    rows = torch.zeros(1, 2, 7)
    seen = agent.inputs(rows, agent.shares[0])
    assert seen[0, :, 4:].tolist() == [[1, 0], [0, 1]]
    apart = IPPO(**data.facts(), share_params=False, **SMALL)
    before = apart(torch.randn(5, 14, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        for weight in apart.learners[1].policy.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(1))
    after = apart(torch.randn(5, 14, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1], after[:, 1])


def test_the_same_seed_gives_the_same_weights_however_often_it_is_validated():
    (one, *_), (other, *_) = fit(RENDEZVOUS), fit(RENDEZVOUS, data={"eval_every": 24})
    assert points.equal(one, other)


def test_a_greedy_team_takes_the_agents_own_actions():
    agent, _, _ = fit(RENDEZVOUS, share_params=False)
    seen = torch.randn(6, 14)
    rows = seen.view(6, 2, 7)
    alone = [learner(rows[:, number, :4]) for number, learner in enumerate(agent.learners)]
    assert torch.equal(agent(seen), torch.stack(alone, -1))


def test_returns_of_each_agent_are_logged():
    agent, data, trainer = fit(QUITTERS, share_params=False)
    (metrics,) = trainer.test(agent, datamodule=data, verbose=False)
    assert metrics["test/return"] == 42
    assert (metrics["test/return/early"], metrics["test/return/late"]) == (2, 40)
    assert data.mean_return() == 42
    with pytest.raises(LabError, match="ippo has several agents"):
        agent.collect(None, 1, 0.0, 0)


def test_different_spaces_share_no_parameters():
    with pytest.raises(BadSetting, match="share_params: 'early' and 'late' have different spaces; set model"):
        IPPO(**TeamRolloutData(QUITTERS, 2_048).facts())


def test_a_rollout_after_all_its_agents_ended_teaches_nothing(monkeypatch):
    monkeypatch.setattr(Quitters, "step", lambda self, actions: endless(self, actions))

    def endless(self, actions):
        self.steps = min(self.steps + 1, 4)
        acting, self.agents = self.agents, ["late"]
        none = dict.fromkeys(acting, False)
        return {agent: self.show()[agent] for agent in acting}, dict.fromkeys(acting, 0), none, none, {}

    agent, _, _ = fit(QUITTERS, share_params=False, data={"episode_steps": 1_000, "test_episodes": 1, "eval_every": 99})
    early, late = (int(learner.updates) for learner in agent.learners)
    assert early == agent.learners[0].update_epochs, "of the first rollout of two"
    assert late > early
    assert int(agent.updates) == early + late


@pytest.mark.parametrize("spaces", [{"low": [-1.0], "high": [2.0]}, {"counts": [2, 3]}])
def test_any_action_an_agent_can_take(spaces):
    specs = {name: {"observation_size": 3, "action": spaces} for name in ("one", "other")}
    agent = IPPO("mine", specs, num_envs=4, num_steps=8, **SMALL)
    act, noise = agent.actor(), agent.noise(2, 4)
    action, env_action = act(torch.randn(4, 12), noise[0], torch.ones(4, dtype=torch.bool))
    width = len(next(iter(spaces.values())))
    assert action.shape == env_action.shape == (4, 2 * width)
    assert agent(torch.randn(5, 12)).shape == (5, 2 * width)


@pytest.mark.long
@pytest.mark.parametrize("share_params", [True, False])
def test_two_agents_meet_as_fast_as_possible(share_params):
    data = {"total_steps": 61_440, "num_envs": 16, "num_steps": 64, "eval_every": 61_440, "test_episodes": 100}
    settings = {"lr": 1e-3, "final_lr": 0.0, "gamma": 0.95, "batch_size": 256, "update_epochs": 5, "hidden": [64, 64]}
    agent, module, trainer = fit(RENDEZVOUS, data=data | {"eval_envs": 50}, share_params=share_params, **settings)
    (metrics,) = trainer.test(agent, datamodule=module, verbose=False)
    assert 0 <= metrics["test/optimality_gap"] < 0.3
    assert np.ptp(agent.earned.returns, axis=1).max() == 0


@pytest.mark.long
def test_an_environment_of_pettingzoo_learns():
    pytest.importorskip("mpe2")
    name = "mpe2.simple_spread_v3:parallel_env"
    data = {"total_steps": 2_048, "num_envs": 4, "num_steps": 64, "eval_every": 2_048}
    _, module, trainer = fit(name, data=data)
    assert trainer.callback_metrics["val/return"] < 0
    assert module.env_factory.package().startswith("pettingzoo")
