"""Monte Carlo tree search: samples of its model, values of its tree, and what random shooting does not find."""

import random

import numpy as np
import pytest

from lab.rl.tabular.dynamic_programming import SweepData
from lab.rl.tabular.mdp import MDP, transition_table
from lab.rl.tabular.model_based.mcts import MCTS, Model

# 0 -> 1 -> 2 and 3 -> the end, whose second action is better; 0's first action is worth a little at once
STEPS = [
    [[(1.0, 0, 0.2, True)], [(1.0, 1, 0.0, False)]],
    [[(1.0, 1, 0.0, True)], [(0.5, 2, 0.0, False), (0.5, 3, 0.0, False)]],
    [[(1.0, 2, 0.0, True)], [(1.0, 2, 1.0, True)]],
    [[(1.0, 3, -1.0, True)], [(1.0, 3, 0.5, True)]],
]
PROCESS = MDP(STEPS, [1.0, 0.0, 0.0, 0.0])


def search(process, states, actions, sweeps=1, **settings):
    random.seed(0)
    agent = MCTS("some", [states], [0], actions, **settings)
    agent.process = process
    for _ in range(sweeps):
        agent.sweep()
    return agent


def test_states_follow_with_their_probabilities():
    model = Model(transition_table(SweepData("FrozenLake-v1").env_factory.for_evaluation(1)[0]))
    chance = random.Random(0)
    found = [model.step(14, 2, chance.random()) for _ in range(9_000)]
    assert found[0][0] == pytest.approx(1 / 3)  # the mean, whatever follows
    for following, share in ((14, 1 / 3), (10, 1 / 3), (None, 1 / 3)):
        assert np.mean([each[1] == following for each in found]) == pytest.approx(share, abs=0.02)
    assert len(model.roots) == 11, "four holes and the goal are not searched from"


def test_values_become_those_of_the_best_policy():
    """0.75 for the second action of the first state: what exploring actions cost is in no value."""
    agent = search(PROCESS, 4, 2, horizon=5, num_simulations=300, tree_depth=5, exploration=2.0)
    exact = PROCESS.optimal_action_values(1.0)
    np.testing.assert_allclose(agent.table[0].detach(), exact, atol=1e-9)
    assert agent.table[0, 0].tolist() == pytest.approx([0.2, 0.75])


def test_beyond_the_tree_actions_are_random():
    agent = search(PROCESS, 4, 2, horizon=5, num_simulations=4_000, tree_depth=2, exploration=2.0)
    assert agent.table[0, 0, 1].item() == pytest.approx((0.5 - 0.25) / 2, abs=0.05)


@pytest.mark.slow
def test_it_crosses_the_lake_which_random_shooting_does_not():
    data = SweepData("FrozenLake-v1")
    random.seed(0)
    agent = MCTS(**data.facts(), num_simulations=500, tree_depth=100, exploration=5.0)
    agent.env_factory = data.env_factory
    for _ in range(3):
        agent.sweep()
    before = random.getstate()
    metrics = agent.evaluate("test", [])
    assert metrics["test/return"] > 0.65, "0.744 at best"
    assert metrics["test/return_random_shooting"] < 0.2
    assert random.getstate() == before
