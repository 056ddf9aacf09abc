"""Every environment that comes with Gymnasium: an agent that fits trains in it, and one that does not says which do."""

import inspect

import gymnasium as gym
import pytest

from lab.errors import BadSetting
from lab.registry import find_task
from lab.rl.envs.entry_point import find_spec
from tests.rl import points

OTHERS = ("phys2d/", "tabular/", "Gym")  # need JAX, or are none


def newest():
    """The latest version of each; earlier ones of MuJoCo belong to another package."""
    found = {}
    for name, spec in gym.registry.items():
        if not name.startswith(OTHERS) and "ale_py" not in str(spec.entry_point):
            found[spec.name] = max(found.get(spec.name, spec), spec, key=lambda each: each.version or 0)
    return [spec.id for spec in found.values()]


BUILT_IN = newest()
GAMES = ["PongNoFrameskip-v4", "BreakoutNoFrameskip-v4", "ALE/Freeway-v5"]
UNFITTING = {True: ("ddpg", "td3", "sac", "tqc", "crossq", "mbpo"), False: ("dqn", "td_control", "monte_carlo")}


def needed(name):
    """Skips what needs a package that is not installed."""
    point = str(gym.spec(name).entry_point) if name in gym.registry else "ale_py"
    for word, package in {"mujoco": "mujoco", "box2d": "Box2D", "ale_py": "ale_py"}.items():
        if word in point:
            pytest.importorskip(package)


def is_discrete(name):
    env = gym.make(find_spec(name))
    found = isinstance(env.action_space, gym.spaces.Discrete)
    env.close()
    return found


def build(task, name):
    facts, wanted = task.data(name, total_steps=1_000).facts(), inspect.signature(task.module.__init__).parameters
    return task.module(**{key: value for key, value in facts.items() if key in wanted})


@pytest.mark.long
@pytest.mark.parametrize("name", BUILT_IN + GAMES)
def test_a_fitting_agent_trains(name):
    needed(name)
    for agent in ("dqn", "ppo") if is_discrete(name) else ("td3", "ppo"):
        points.train(find_task(agent), name, discrete=True, total_steps=300, eval_every=300, eval_episodes=1)


@pytest.mark.long
@pytest.mark.parametrize("name", BUILT_IN)
def test_an_unfitting_agent_names_fitting_ones(name):
    needed(name)
    for agent in UNFITTING[is_discrete(name)]:
        with pytest.raises(BadSetting, match=r"use (a )?task\b|such as|use sac|use ppo") as refused:
            build(find_task(agent), name)
        assert "\n" not in str(refused.value)
