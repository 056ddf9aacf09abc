"""Environments by name: their facts, and one clear line for each that cannot be used."""

import gymnasium as gym
import numpy as np
import pytest

from lab.errors import BadSetting
from lab.rl.environment import describe, make


def test_facts_are_plain():
    assert describe("Pendulum-v1") == {
        "env": "Pendulum-v1",
        "observation_size": 3,
        "action": {"low": [-2.0], "high": [2.0]},
    }
    assert describe("CartPole-v1")["action"] == {"count": 2}


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("Pendulm-v1", "no environment 'Pendulm-v1'; did you mean 'Pendulum-v1'?"),
        ("Pendulum-v9", "no environment 'Pendulum-v9'; did you mean 'Pendulum-v1'?"),
        ("nowhere/nothing", "no environment 'nowhere/nothing'"),
        ("", "no environment ''"),
        ("FrozenLake-v1", "observes Discrete"),
    ],
)
def test_an_unusable_environment_is_refused_in_one_line(env, message):
    with pytest.raises(BadSetting, match="env: ") as error:
        describe(env)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_package_names_the_extra(monkeypatch):
    def missing(*_, **__):
        raise gym.error.DependencyNotInstalled("No module named 'mujoco'")

    monkeypatch.setattr(gym, "make", missing)
    with pytest.raises(BadSetting, match=r"pip install 'torch-lab\[mujoco\]'"):
        make("Hopper-v5")


def test_unbounded_actions_are_refused(monkeypatch):
    class Endless(gym.Env):
        observation_space = gym.spaces.Box(-1, 1, (3,))
        action_space = gym.spaces.Box(-np.inf, np.inf, (1,))

    monkeypatch.setitem(gym.registry, "Endless-v0", gym.envs.registration.EnvSpec("Endless-v0", entry_point=Endless))
    with pytest.raises(BadSetting, match="a Discrete or a bounded Box"):
        describe("Endless-v0")


@pytest.mark.parametrize("kind", [np.float64, np.uint8])
def test_vectors_are_single_precision(kind, monkeypatch):
    class Other(gym.Env):
        observation_space = gym.spaces.Box(0, 200, (3,), kind)
        action_space = gym.spaces.Discrete(2)

        def reset(self, **_):
            return np.full(3, 7, kind), {}

    monkeypatch.setitem(gym.registry, "Other-v0", gym.envs.registration.EnvSpec("Other-v0", entry_point=Other))
    env = make("Other-v0")
    observation, _ = env.reset()
    assert observation.dtype == np.float32
    assert observation in env.observation_space
