"""Planning: the best sequence is found, in whatever kind of action, and the same one each time."""

import numpy as np
import pytest
import torch

from lab.rl.models.planner import Planner

TORQUE = {"low": [-2.0, 0.0], "high": [2.0, 1.0]}
METHODS = ["random_shooting", "cem", "mppi"]


def near(goal):
    """The return is larger the nearer all actions are to a goal."""
    return lambda sequences: -(sequences - goal).square().sum((-2, -1))


@pytest.mark.parametrize(("method", "error"), [("random_shooting", 1.0), ("cem", 0.05), ("mppi", 0.2)])
def test_a_continuous_action_is_found(method, error):
    planner = Planner(TORQUE, 3, method, num_candidates=300, num_iterations=6, temperature=0.05)
    goal = torch.tensor([1.0, 0.25])
    action = planner(near(goal), batch=1)
    assert action.shape == (1, 2)
    assert (action - goal).abs().max() < error


@pytest.mark.parametrize("method", METHODS)
def test_a_discrete_action_is_found(method):
    planner = Planner({"count": 4}, 3, method, num_candidates=100, num_iterations=4)
    wanted = torch.eye(4)[[2, 0, 1]]
    assert planner(near(wanted), batch=2).tolist() == [2, 2]


@pytest.mark.parametrize("method", METHODS)
def test_each_state_has_a_plan_of_its_own_and_always_the_same(method):
    planner = Planner(TORQUE, 3, method)
    goals = torch.tensor([[1.0, 0.25], [-1.5, 0.75]])
    both = planner(near(goals[:, None, None]), batch=2)
    for row, goal in enumerate(goals):
        torch.testing.assert_close(planner(near(goal), batch=1)[0], both[row])
    state = torch.get_rng_state()
    assert torch.equal(planner(near(goals[:, None, None]), batch=2), both)
    assert torch.equal(torch.get_rng_state(), state), "plans take nothing from the global generator"


def test_sequences_stay_within_their_bounds():
    seen = []

    def evaluate(sequences):
        seen.append(sequences)
        return sequences.sum((-2, -1))

    action = Planner(TORQUE, 4, "cem", num_iterations=10)(evaluate, batch=1)
    low, high = torch.tensor(TORQUE["low"]), torch.tensor(TORQUE["high"])
    assert all(((low <= each) & (each <= high)).all() for each in seen)
    torch.testing.assert_close(action[0], high, atol=0.2, rtol=0)


def test_a_large_beta_makes_noise_that_changes_slowly():
    def neighbours(beta):
        noise = Planner(TORQUE, 30, "cem", num_candidates=500, noise_beta=beta).noise.numpy()
        assert noise.std() == pytest.approx(1, abs=0.02)
        return np.corrcoef(noise[..., :-1, 0].ravel(), noise[..., 1:, 0].ravel())[0, 1]

    assert abs(neighbours(0.0)) < 0.02
    assert neighbours(1.0) > 0.4
    assert neighbours(2.0) > 0.8
