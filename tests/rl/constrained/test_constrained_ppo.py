"""Constrained PPO: its rewards and its multiplier by hand, the optimum within a limit, and what it refuses."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from lightning import seed_everything
from tensordict import TensorDict

from lab.errors import BadSetting
from lab.rl.constrained.constrained_ppo import ConstrainedPPO
from lab.rl.constrained.cost_data import CostRolloutData
from lab.rl.data.rollout import Rollout, RolloutData
from lab.rl.envs.layers.cost_column import CostColumn
from lab.rl.ppo import PPO
from tests.rl import points

TAP, COOLING = f"{__name__}:Tap", "lab.rl.constrained.cooling:Cooling-v0"
FACTS = {"env": "some", "observation_size": 3, "action": {"low": [0.0], "high": [1.0]}, "num_envs": 2, "num_steps": 4}


class Tap(gym.Env):
    """How far a tap is opened, from 0 to 1: that is the cost, and what it earns grows ever slower."""

    def __init__(self):
        self.observation_space = Box(0, 1, (1,), np.float32)
        self.action_space = Box(0, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        opened = float(action[0])
        return np.zeros(1, np.float32), 1 - (1 - opened) ** 2, False, self.steps == 10, {"cost": opened}


def rollout():
    torch.manual_seed(0)
    never = torch.zeros(4, 2, dtype=torch.bool)
    following = {
        "observation": torch.rand(4, 2, 3), "reward": torch.randn(4, 2), "terminated": never, "done": never.clone()
    }  # fmt: skip
    return TensorDict({"observation": torch.rand(4, 2, 3), "action": torch.rand(4, 2, 1), "next": following}, [4, 2])


def test_a_cost_is_a_reward_at_the_price_of_the_multiplier():
    agent, plain = ConstrainedPPO(**FACTS, batch_size=8, multiplier_init=3.0), PPO(**FACTS, batch_size=8)
    plain.load_state_dict(agent.state_dict(), strict=False)
    steps = rollout()
    rewards = steps["next", "reward"].clone()
    priced = rollout()
    priced["next", "reward"] = (rewards - 3 * steps["next", "observation"][..., 2]) / 4
    for found, wanted in zip(agent.experience(steps), plain.experience(priced), strict=True):
        torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(steps["next", "reward"], rewards)


@pytest.mark.parametrize(("cost", "change"), [(0.3, 0.1), (0.05, -0.05), (0.1, 0.0), (0.0, -0.1)])
def test_the_multiplier_rises_above_the_limit_and_falls_below(cost, change):
    agent = ConstrainedPPO(**FACTS, batch_size=8, multiplier_init=2.0, multiplier_lr=0.1, cost_limit=0.1)
    steps = rollout()
    steps["next", "observation"][..., 2] = cost
    agent.learn = lambda *_: {}
    measured = agent.update_on_batch(Rollout(steps, 8, []), [])
    assert float(agent.multiplier) == pytest.approx(2 * np.exp(change))
    assert float(measured["cost"]) == pytest.approx(cost)
    assert float(measured["multiplier"]) == float(agent.multiplier)


@pytest.mark.slow
def test_it_finds_the_best_policy_within_the_limit():
    """1 - (1 - x)^2 under a mean of at most 0.3: x = 0.3 at the price 2 (1 - 0.3) = 1.4; without a limit x = 1."""
    seed_everything(0, verbose=False)
    sizes = {"num_envs": 16, "num_steps": 20, "eval_every": 100_000, "test_episodes": 4}
    data = CostRolloutData(TAP, total_steps=38_400, **sizes)
    own = {"hidden": [16], "batch_size": 160, "gamma": 0.5, "update_epochs": 5, "log_std_init": -1.5}
    agent = ConstrainedPPO(**data.facts(), **own, lr=3e-3, final_lr=0.0, cost_limit=0.3, multiplier_lr=0.2)
    trainer = points.fit(agent, data)
    (metrics,) = trainer.test(agent, data, verbose=False)
    assert metrics["test/cost"] == pytest.approx(0.3, abs=0.04)
    assert float(agent.multiplier) == pytest.approx(1.4, abs=0.3)
    assert metrics["test/return"] == pytest.approx(10 * (1 - 0.7**2), abs=0.5)


def test_the_last_column_is_the_cost_of_the_latest_step():
    env = CostColumn(Tap())
    assert env.reset(seed=0)[0].tolist() == [0, 0]
    assert env.step(np.array([0.5]))[0].tolist() == [0, 0.5]
    assert env.reset()[0].tolist() == [0, 0]
    with pytest.raises(ValueError, match="expected a vector"):
        CostColumn(gym.make("FrozenLake-v1"))


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ("Pendulum-v1", "env: constrained_ppo keeps info[\"cost\"] within a limit, and 'Pendulum-v1' has none: use"),
        ("CartPole-v2", "env: no environment 'CartPole-v2'"),
    ],
)
def test_an_environment_without_costs_is_refused(env, words):
    with pytest.raises(BadSetting) as error:
        CostRolloutData(env, total_steps=10_000).facts()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_the_controller_is_evaluated_beside_every_agent():
    seed_everything(0, verbose=False)
    data = RolloutData(COOLING, total_steps=64, num_envs=2, num_steps=32, eval_episodes=1, test_episodes=2)
    agent = PPO(**data.facts(), hidden=[8], batch_size=32, update_epochs=1)
    trainer = points.fit(agent, data, limit_val_batches=0)
    (metrics,) = trainer.test(agent, data, verbose=False)
    assert {"test/return", "test/cost", "test/return_pid", "test/cost_pid"} <= metrics.keys()
    assert metrics["test/return_pid"] > metrics["test/return"]
