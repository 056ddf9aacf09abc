"""PETS: what a plan is worth, and what its model learns from."""

import pytest
import torch
from tensordict import TensorDict

from lab.errors import BadSetting
from lab.rl.models.pets import PETS


def agent(action, **settings):
    torch.manual_seed(0)
    small = {"num_candidates": 20, "num_iterations": 2, "horizon": 2, "model_hidden": [8], "num_members": 2}
    return PETS("Some-v0", 3, action, **(small | settings))


def leaves_or_stays(state, action):
    """Action 1 earns 1 and ends the episode, action 0 earns 0.6 and does not."""
    reward = 0.6 * action[..., :1] + action[..., 1:]
    return state, reward.expand_as(state[..., :1]), action[..., 1:].expand_as(state[..., :1])


@pytest.mark.parametrize(("horizon", "gamma", "expected"), [(1, 1.0, 1), (2, 1.0, 0), (2, 0.3, 1)])
def test_a_plan_is_worth_its_discounted_rewards_until_the_episode_ends(horizon, gamma, expected):
    """Two steps earn 0.6 + 1 at most if the first one stays, 1 if it leaves."""
    pets = agent({"count": 2}, horizon=horizon, gamma=gamma)
    assert pets.plan(torch.zeros(3, 3), leaves_or_stays).tolist() == [expected] * 3


def test_members_count_alike():
    """One member says that action 1 earns 3, the other that it loses 1; action 0 earns 0.5 in both."""

    def step(state, action):
        stakes = torch.tensor([3.0, -1.0])[:, None, None]
        return state, 0.5 * action[..., :1] + stakes * action[..., 1:], torch.zeros_like(state[..., :1])

    assert agent({"count": 2}, horizon=1).plan(torch.zeros(1, 3), step, members=2).tolist() == [1]
    with_less = lambda state, action: (state, step(state, action)[1] - 0.6 * action[..., 1:], 0 * state[..., :1])  # noqa: E731
    assert agent({"count": 2}, horizon=1).plan(torch.zeros(1, 3), with_less, members=2).tolist() == [0]


@pytest.mark.parametrize("action", [{"count": 3}, {"low": [-2.0], "high": [2.0]}])
def test_the_model_learns_from_what_was_done(action):
    pets = agent(action)
    rows = 64
    done = torch.randint(3, (rows,)) if "count" in action else torch.rand(rows, 1) * 4 - 2
    effect = (done[:, None] if "count" in action else done).float()
    seen = torch.randn(rows, 3)
    after = {"observation": seen + 0.5 * effect, "terminated": torch.zeros(rows, 1, dtype=torch.bool)}

    def steps(reward):
        return TensorDict({"observation": seen, "action": done, "next": after | {"reward": reward}}, [rows])

    pets.observe(steps(effect.squeeze(-1)).unsqueeze(1))  # as they are collected, (T, N)
    inputs = [each[0] for each in pets.update_inputs(steps(effect).unsqueeze(0))]  # as they are replayed
    optimizer = torch.optim.Adam(pets.model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        loss = pets.model.loss(*inputs)
        loss.backward()
        optimizer.step()
    numbers = inputs[1].expand(2, -1, -1)
    following, reward, _ = pets.model.step(seen.expand(2, -1, -1), numbers, None)
    assert (following - after["observation"]).abs().mean() < 0.2
    assert (reward - effect).abs().mean() < 0.2


def test_several_actions_at_once_are_refused():
    with pytest.raises(BadSetting, match="pets needs one action, found 2 at once: use task=ppo"):
        agent({"counts": [2, 3]})
