"""What a recipe may ask of an environment in vain: one clear line for each, before anything starts."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from lab.errors import RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.rl.envs import async_stepper
from lab.runner.assemble import assemble

pytestmark = pytest.mark.slow
CONTINUOUS = ("ddpg_pendulum", "td3_pendulum", "sac_pendulum", "tqc_pendulum")
ROLLOUTS = ("ppo_cartpole", "a2c_cartpole", "reinforce_cartpole", "trpo_pendulum")


class Torques(gym.Env):
    """Two continuous actions."""

    observation_space = gym.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (2,), np.float32)


class Levers(gym.Env):
    """Two choices at once."""

    observation_space = gym.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gym.spaces.MultiDiscrete([2, 3])


class Tree(gym.Env):
    """Something to read."""

    observation_space = gym.spaces.Text(5)
    action_space = gym.spaces.Discrete(2)


@pytest.fixture(autouse=True)
def environments(monkeypatch):
    for kind in (Torques, Levers, Tree):
        monkeypatch.setitem(gym.registry, f"{kind.__name__}-v0", EnvSpec(f"{kind.__name__}-v0", entry_point=kind))
    monkeypatch.setattr(async_stepper, "cores", lambda: 2)


CASES = [
    *[(name, ["data.env=CartPole-v1"], "needs continuous actions, found 2 discrete ones") for name in CONTINUOUS],
    (
        "dqn_pendulum",
        ["data.num_action_bins=null"],
        "data: dqn needs discrete actions, found a continuous one: set data.num_action_bins, such as",
    ),
    (
        "dqn_pendulum",
        ["data.env=CartPole-v1"],
        "data.num_action_bins: 'CartPole-v1' has 2 discrete actions already; leave it",
    ),
    ("dqn_cartpole", ["data.env=Torques-v0"], "dqn needs discrete actions, found 2 continuous ones"),
    *[
        (name, ["data.env=Tree-v0"], "data.env: 'Tree-v0' observes Text as")
        for name in ("ddpg_pendulum", "dqn_cartpole", "ppo_cartpole")
    ],
    ("dqn_cartpole", ["data.env=Levers-v0"], "dqn needs one discrete action, found 2 choices at once: use task=ppo"),
    ("ddpg_pendulum", ["data.env=Levers-v0"], "needs continuous actions, found 2 choices at once: use a task for"),
    ("ppo_cartpole", ["data.action_masks=true"], "data.action_masks: environment CartPole-v1 failed in the reset"),
    ("ppo_pendulum", ["data.action_masks=true"], "data.action_masks: 'Pendulum-v1' has continuous actions, which no"),
    *[
        (name, ["data.env=CartPol-v1"], "data.env: no environment 'CartPol-v1'; did you mean 'CartPole-v1'?")
        for name in (*CONTINUOUS, *ROLLOUTS, "dqn_cartpole")
    ],
    ("ppo_cartpole", ["data.vectorization=thread"], "data.vectorization"),
    (
        "ppo_cartpole",
        ["data.vectorization=async", "data.num_envs=1"],
        "data.vectorization: async needs at least 2 environments and 2 cores, and data.num_envs is 1; use sync",
    ),
    ("ppo_cartpole", ["data.num_envs=5000"], "data.num_envs: expected a whole number from 1 to 1024, found 5000"),
    (
        "ppo_cartpole",
        ["data.num_envs=1000", "data.num_steps=1000"],
        "data.num_envs: 1000 environments times 1000 steps are",
    ),
]


@pytest.mark.parametrize(("recipe", "overrides", "line"), CASES, ids=str)
def test_each_is_one_clear_line(recipe, overrides, line):
    problem = refused(recipe, overrides)
    assert line in problem
    assert "\n" not in problem


def refused(recipe, overrides):
    """The one problem that the recipe has."""
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe(recipe), overrides))
    assert len(error.value.problems) == 1
    return str(error.value.problems[0])
