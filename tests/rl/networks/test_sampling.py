"""Drawn actions of an evaluation: by their probabilities, the same each time, and no business of the training."""

import pytest
import torch

from lab.errors import LabError
from lab.recipe import load
from lab.registry import find_task
from lab.rl.networks.policies import CategoricalPolicy, GaussianPolicy, MultiCategoricalPolicy
from lab.rl.networks.sampling import SamplingPolicy
from lab.runner.assemble import assemble
from tests.rl import points

POLICIES = [
    CategoricalPolicy(4, {"count": 3}, [8]),
    MultiCategoricalPolicy(4, {"counts": [3, 2]}, [8]),
    GaussianPolicy(4, {"low": [-1.0, -1.0], "high": [1.0, 1.0]}, [8], log_std_init=0.0),
]


def drawn(policy, rows):
    """The actions of episodes 0 to 2 in three steps, so many of them at once."""
    sampling = SamplingPolicy(policy, policy)
    actions = {}
    for first in range(0, 3, rows):
        episodes = list(range(first, min(first + rows, 3)))
        for step in range(3):
            sampling.follow(episodes)
            for episode, action in zip(episodes, sampling(torch.zeros(len(episodes), 4)), strict=True):
                actions[episode, step] = action.tolist()
    return actions


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
def test_an_episode_draws_the_same_beside_any_others(policy):
    state = torch.get_rng_state()
    alone = drawn(policy, 1)
    assert alone == drawn(policy, 3) == drawn(policy, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert len({str(action) for action in alone.values()}) > 1


def test_actions_are_drawn_by_their_probabilities():
    logs = torch.tensor([0.7, 0.2, 0.1]).log()
    sampling = SamplingPolicy(POLICIES[0], lambda observation: logs.expand(len(observation), 3))
    counts = torch.zeros(3)
    sampling.follow(range(50))
    for _ in range(100):
        counts += torch.bincount(sampling(torch.zeros(50, 4)), minlength=3)
    assert torch.allclose(counts / 5000, torch.tensor([0.7, 0.2, 0.1]), atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ppo", "a2c", "reinforce", "trpo"])
def test_it_changes_scores_and_not_what_is_learnt(name):
    settings = {"discrete": True, "eval_episodes": 5, "eval_every": 100}
    greedy, _, one = points.train(find_task(name), "CartPole-v1", **settings)
    drawing, data, other = points.train(find_task(name), "CartPole-v1", eval_deterministic=False, **settings)
    assert points.equal(greedy, drawing)
    assert one.callback_metrics["val/return"] != other.callback_metrics["val/return"]
    returns = [float(other.validate(drawing, data, verbose=False)[0]["val/return"]) for _ in range(2)]
    assert returns[0] == returns[1] == float(other.callback_metrics["val/return"])


@pytest.mark.parametrize("name", ["recurrent_ppo", "policy_search", "dqn"])
def test_agents_that_do_not_draw_refuse_the_key(name, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"task: {name}\ndata: {{env: CartPole-v1, total_steps: 20000, eval_deterministic: false}}\n")
    with pytest.raises(LabError, match=r"unknown key 'eval_deterministic'"):
        assemble(load(recipe))
