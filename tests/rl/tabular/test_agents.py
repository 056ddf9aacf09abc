"""Tabular agents: their targets by hand, exact scores, and what they refuse."""

import random

import numpy as np
import pytest
from lightning import Trainer, seed_everything

from lab.errors import RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.rl.tabular.control import TDControl
from lab.rl.tabular.data import Transition
from lab.rl.tabular.dynamic_programming import DynamicProgramming, SweepData
from lab.rl.tabular.exploration import Exploration
from lab.rl.tabular.mdp import MDP
from lab.rl.tabular.model_based.r_max import RMax
from lab.rl.tabular.monte_carlo import MonteCarlo
from lab.runner.assemble import assemble
from tests.rl.points import QUIET

SMALL = {"env": "FrozenLake-v1", "sizes": [3], "starts": [0], "actions": 2, "horizon": 9}


def learner(kind, values, **settings):
    """An agent in the middle of a batch, with these values."""
    agent = kind(**SMALL, lr=0.5, **settings)
    agent.counts, (agent.before, agent.after) = agent.visits.numpy(), agent.values
    agent.after[-1] = values
    return agent


@pytest.mark.parametrize(
    ("algorithm", "target"),
    [("q_learning", 1 + 0.9 * 4), ("sarsa", 1 + 0.9 * 4), ("expected_sarsa", 1 + 0.9 * (0.9 * 4 + 0.1 * 2))],
)
def test_a_value_goes_half_the_way_to_its_target(algorithm, target):
    epsilon = 0.2 if algorithm == "expected_sarsa" else 0.0  # half of the random actions are the greedy one
    agent = learner(
        TDControl, [[2, 0], [2, 4], [0, 0]], algorithm=algorithm, gamma=0.9, epsilon=epsilon, final_epsilon=epsilon
    )
    agent.learn(Transition(0, 0, 1.0, 1, terminated=False, over=False))
    assert agent.after[0, 0, 0] == pytest.approx((2 + target) / 2)
    agent.learn(Transition(2, 1, 3.0, 1, terminated=True, over=True))
    assert agent.after[0, 2, 1] == pytest.approx(1.5)
    assert agent.next_action is None


def test_the_next_action_of_sarsa_is_the_one_it_learnt_from():
    agent = learner(TDControl, [[0, 0], [1, 2], [0, 0]], algorithm="sarsa", epsilon=1.0, final_epsilon=1.0)
    for _ in range(20):
        agent.learn(Transition(0, 0, 0.0, 1, terminated=False, over=False))
        chosen = agent.next_action
        assert agent.act(1) == chosen


def test_values_of_each_number_of_steps_learn_from_those_of_one_less():
    agent = learner(TDControl, 0.0, finite_horizon=True, gamma=1.0)
    agent.after[:, 1] = np.arange(9)[:, None]
    agent.learn(Transition(0, 0, 1.0, 1, terminated=False, over=False))
    assert agent.table[0].sum() == 0
    assert agent.after[:, 0, 0].tolist() == [0.5, 0.5, *((1 + left) / 2 for left in range(1, 8))]


@pytest.mark.parametrize(("first", "expected"), [(True, 0.5 * 7), (False, 0.5 * (0.5 * 2) + 0.5 * 7)])
def test_a_return_counts_from_the_first_visit_or_from_each(first, expected):
    agent = learner(MonteCarlo, 0.0, first_visit=first, lr_decay=0.0)
    for reward, over in ((1.0, False), (4.0, False), (2.0, True)):
        agent.learn(Transition(0, int(reward == 4), reward, 0, terminated=over, over=over))
    assert agent.after[0, 0].tolist() == [expected, 3.0]


def test_planning_repeats_what_was_seen_and_leaves_the_next_action_alone():
    agent = learner(TDControl, 0.0, algorithm="sarsa", planning_steps=50, epsilon=0.0, final_epsilon=0.0)
    agent.learn(Transition(0, 1, 1.0, 1, terminated=False, over=False))
    assert agent.after[0, 0, 1] == pytest.approx(1.0)
    assert agent.next_action in (0, 1)


@pytest.mark.parametrize("kind", ["epsilon_greedy", "boltzmann", "ucb"])
def test_actions_are_chosen_with_the_probabilities_that_are_stated(kind):
    random.seed(0)
    exploration = Exploration(kind, epsilon=0.4, final_epsilon=0.2, temperature=0.5)
    values, visits = [1.0, 0.5, 1.0], [3.0, 2.0, 1.0]
    stated = exploration.probabilities(values, visits, 0.5)
    chosen = [exploration.choose(values, visits, 0.5) for _ in range(20_000)]
    assert np.bincount(chosen, minlength=3) / 20_000 == pytest.approx(stated, abs=0.015)


@pytest.mark.parametrize("limited", [True, False])
def test_a_learned_model_is_solved_and_explored_by_optimism(limited):
    """State 0: action 0 earns 1 and stays with probability 3/4, else it ends; action 1 leads to 1, which earns 2."""
    agent = RMax(**SMALL, known_visits=4, initial_value=5.0, gamma=0.9, finite_horizon=limited)
    agent.counts, (agent.before, agent.after) = agent.visits.numpy(), agent.values
    for ended in (False, False, True, False):
        assert (agent.optimistic[-1, 0] == 5).all()
        agent.learn(Transition(0, 0, 1.0, 0, terminated=ended, over=ended))
    for _ in range(3):
        agent.learn(Transition(0, 1, 0.0, 1, terminated=False, over=False))
        agent.learn(Transition(1, 0, 2.0, 2, terminated=True, over=True))
    assert float(agent.optimistic[-1, 0, 0]) == pytest.approx(1 + 0.9 * 0.75 * 5)  # then the unknown action
    assert agent.act(0) == 1
    agent.solve(agent.table.detach().numpy(), known_visits=1, unknown=[])
    table = [
        [[(0.75, 0, 1.0, False), (0.25, 0, 1.0, True)], [(1.0, 1, 0.0, False)]],
        [[(1.0, 2, 2.0, True)], [(1.0, 1, 0.0, True)]],
        [[(1.0, 2, 0.0, True)], [(1.0, 2, 0.0, True)]],
    ]
    wanted = np.zeros((3, 2))
    if limited:
        for _ in range(9):
            wanted = MDP(table, [1, 0, 0]).backup(wanted.max(-1), 0.9)
    else:
        wanted = MDP(table, [1, 0, 0]).optimal_action_values(0.9)
    np.testing.assert_allclose(agent.table[-1].detach(), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["value_iteration", "policy_iteration"])
@pytest.mark.parametrize(("limited", "best"), [(True, 0.7442), (False, 0.7402)])
def test_a_plan_is_optimal_within_its_limit(algorithm, limited, best):
    seed_everything(0, verbose=False)
    gamma, sweeps = (1.0, 100) if limited else (0.99, 300)
    data = SweepData("FrozenLake-v1", sweeps=8 if algorithm == "policy_iteration" else sweeps, eval_every=sweeps)
    agent = DynamicProgramming(**data.facts(), algorithm=algorithm, gamma=gamma, finite_horizon=limited)
    trainer = Trainer(accelerator="cpu", logger=False, **QUIET, **data.trainer_defaults())
    trainer.fit(agent, data)
    (metrics,) = trainer.test(agent, data, verbose=False)
    assert metrics["test/return"] == pytest.approx(best, abs=5e-5)
    assert metrics["test/optimality_gap"] == pytest.approx(0.7442 - best, abs=1e-4)


@pytest.mark.parametrize(
    ("recipe", "override", "words"),
    [
        (
            "q_learning_taxi",
            "data.env=CartPole-v1",
            "observes a Box of shape (4,); a table needs Discrete observations: use",
        ),
        ("q_learning_taxi", "data.env=Pendulum-v1", "has no Discrete actions, which a table needs: use task=sac"),
        ("dynamic_programming_frozenlake", "data.env=CartPole-v1", "a table needs Discrete observations: use task=dqn"),
        ("sarsa_cliffwalking", "model.finite_horizon=true", "expected false for sarsa"),
        ("q_learning_taxi", "trainer.precision=bf16-mixed", "a table has double precision"),
    ],
)
def test_what_fits_no_table_is_refused_in_one_line(recipe, override, words):
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe(recipe), [override]))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
