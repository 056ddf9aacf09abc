"""Environments by name: their facts, and one clear line for each that cannot be used."""

import sys

import gymnasium as gym
import numpy as np
import pytest

from lab.errors import BadSetting
from lab.rl.envs.environment import describe, make
from lab.rl.envs.layers import atari


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
        ("nowhere:Nothing-v0", "no module 'nowhere' (for 'nowhere:Nothing-v0'); is it installed, or on PYTHONPATH?"),
        ("subprocess:Popen", "'subprocess:Popen' is in Python's standard library"),
        ("lab.__main__:X-v0", "'lab.__main__:X-v0' is in a script, whose import would run it"),
        ("Pendulum", "no environment 'Pendulum'; did you mean 'Pendulum-v1'?"),
        ("Parts-v0", "'Parts-v0' observes Text as 'goal.name'"),
        ("Parts-v0", "as 'goal.name'; a Box, Discrete, MultiDiscrete or MultiBinary, or a Dict or Tuple of these, is"),
        ("Empty-v0", "'Empty-v0' observes nothing (a Box without numbers) as 'observation'"),
    ],
)
def test_an_unusable_environment_is_refused_in_one_line(env, message, monkeypatch):
    spaces = gym.spaces
    plant(monkeypatch, "Parts-v0", spaces.Dict(goal=spaces.Dict(name=spaces.Text(4)), place=spaces.Discrete(3)))
    plant(monkeypatch, "Empty-v0", spaces.Box(0, 1, (0,)))
    with pytest.raises(BadSetting, match="env: ") as error:
        describe(env)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def plant(monkeypatch, name, observation, action=None):
    """Registers an environment with these spaces."""

    class Planted(gym.Env):
        observation_space = observation
        action_space = action or gym.spaces.Discrete(2)

    monkeypatch.setitem(gym.registry, name, gym.envs.registration.EnvSpec(name, entry_point=Planted))


@pytest.mark.parametrize(
    ("env", "extra", "missing"),
    [
        ("Hopper-v5", "mujoco", "mujoco"),
        ("LunarLander-v3", "box2d", "Box2D"),
        ("ALE/Pong-v5", "atari", "ale_py"),
        ("PongNoFrameskip-v4", "atari", "ale_py"),
        ("minigrid:MiniGrid-Empty-5x5-v0", "minigrid", "minigrid"),
    ],
)
def test_a_missing_package_names_the_extra(env, extra, missing, monkeypatch):
    """Hidden from the importer, so that it is missing to whatever asks for it."""
    known = {name: spec for name, spec in gym.registry.items() if "ale_py" not in str(spec.entry_point)}
    monkeypatch.setattr(gym.envs.registration, "registry", known)
    monkeypatch.setattr(gym, "registry", known)
    for name in [name for name in sys.modules if name.startswith((missing, "gymnasium.envs.mujoco"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("gymnasium.envs.box2d")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(atari, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(BadSetting) as error:
        make(env)
    expected = f"env: '{env}' needs a package that is not installed: pip install 'torch-lab[{extra}]'"
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("env", "package", "size", "action"),
    [
        ("LunarLander-v3", "Box2D", 8, {"count": 4}),
        ("HalfCheetah-v5", "mujoco", 17, {"low": [-1.0] * 6, "high": [1.0] * 6}),
    ],
)
def test_an_extra_brings_its_environments(env, package, size, action):
    pytest.importorskip(package)
    assert describe(env) == {"env": env, "observation_size": size, "action": action}


def test_mujoco_does_not_write_on_the_screen(capfd, tmp_path, monkeypatch):
    mujoco = pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)
    make("HalfCheetah-v5").close()
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())
    with pytest.warns(UserWarning, match="MuJoCo: the cheetah trips"):
        mujoco.get_mju_user_warning()("the cheetah trips")


ACTIONS = [
    (gym.spaces.Box(-np.inf, 1, (1,)), {"low": [-np.inf], "high": [np.inf]}),
    (gym.spaces.Box(-1, 2, (2, 2)), {"low": [-1.0] * 4, "high": [2.0] * 4}),
    (gym.spaces.Box(-1, 2, ()), {"low": [-1.0], "high": [2.0]}),
    (gym.spaces.MultiDiscrete([[2, 3], [4, 5]]), {"counts": [2, 3, 4, 5]}),
    (gym.spaces.MultiBinary(3), {"counts": [2, 2, 2]}),
]


@pytest.mark.parametrize(("action", "spec"), ACTIONS, ids=str)
def test_actions_arrive_as_their_space_has_them(action, spec, monkeypatch):
    plant(monkeypatch, "Many-v0", gym.spaces.Box(-1, 1, (3,)), action)
    assert describe("Many-v0")["action"] == spec
    env = make("Many-v0")
    assert env._action(np.zeros(len(spec.get("low", spec.get("counts"))), np.int64)) in action


def test_actions_that_no_algorithm_has_are_refused(monkeypatch):
    plant(monkeypatch, "Words-v0", gym.spaces.Box(-1, 1, (3,)), gym.spaces.Text(3))
    with pytest.raises(BadSetting, match=r"has Text.* as action space; a Discrete, MultiDiscrete, MultiB") as error:
        describe("Words-v0")
    assert "\n" not in str(error.value)


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
