"""Bandits against regrets that are known, and the searches on functions whose optimum is known."""

import pytest
import torch
from lightning import Trainer, seed_everything

from lab.errors import BadSetting
from lab.rl.bandit import Bandit, BanditData
from lab.rl.search.policy_search import PolicySearch
from lab.rl.search.samplers import CMAES, CrossEntropy, EvolutionStrategy
from tests.rl.points import QUIET


def regret(**settings):
    """Mean regret of 200 pulls, on bandits with ten arms."""
    seed_everything(0, verbose=False)
    data = BanditData(pulls=200, num_bandits=500, train_freq=50)
    agent = Bandit(**data.facts(), **settings)
    trainer = Trainer(accelerator="cpu", logger=False, **QUIET, **data.trainer_defaults())
    trainer.fit(agent, data)
    (metrics,) = trainer.test(agent, data, verbose=False)
    assert agent.count.sum(1).tolist() == [200.0] * 500
    return metrics["test/regret"]


@pytest.mark.slow
def test_exploration_loses_less_the_better_it_is():
    random = regret(algorithm="epsilon_greedy", epsilon=1.0, final_epsilon=1.0)
    assert random == pytest.approx(200 * (10 / 11 - 0.5), rel=0.02)  # the best of ten uniform means is 10 / 11
    greedy = regret(algorithm="epsilon_greedy", epsilon=0.0, final_epsilon=0.0)
    thompson, ucb = regret(algorithm="thompson"), regret(algorithm="ucb1", bonus=0.5)
    assert thompson < 20 < ucb < greedy < random


@pytest.mark.parametrize("kind", ["cem", "es", "cma_es"])
def test_a_search_finds_the_optimum_and_goes_on_after_a_break(kind):
    torch.manual_seed(0)

    def make(mean):
        if kind == "cem":
            return CrossEntropy(mean, 40, 1.0, elite_frac=0.25, extra_std=0.5, decay=30)
        return {"es": EvolutionStrategy, "cma_es": CMAES}[kind](mean, 40, 0.5)

    mean, goal = torch.nn.Parameter(torch.zeros(5), requires_grad=False), torch.arange(5.0)
    sampler, optimizer = make(mean), torch.optim.Adam([mean], lr=0.2)
    for generation in range(80):
        if generation == 20:  # as after a resume: a new one with the old state
            state, sampler = sampler.state(), make(mean)
            sampler.load(state)
        weights = sampler.sample()
        sampler.update(weights, -(weights - goal).square().sum(-1))
        if kind == "es":
            optimizer.step()
    assert (mean - goal).abs().max() < 0.2


def test_members_answer_as_the_same_weights_alone():
    facts = {"env": "CartPole-v1", "observation_size": 4, "action": {"count": 2}, "num_envs": 8, "num_steps": 5}
    agent = PolicySearch(**facts, hidden=[6], episodes=2)
    agent.members, observation = torch.randn(4, len(agent.mean)), torch.randn(8, 4)
    together = agent.answer(agent.layers(agent.members), observation.view(4, 2, 4)).flatten()
    for member in range(4):
        agent.mean.data.copy_(agent.members[member])
        alone = agent(observation[2 * member : 2 * member + 2])
        assert alone.tolist() == together[2 * member : 2 * member + 2].tolist()
    with pytest.raises(BadSetting, match="an even number of at least 4"):
        PolicySearch(**facts | {"num_envs": 5}, algorithm="es")
