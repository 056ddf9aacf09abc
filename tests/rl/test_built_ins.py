"""Every environment that comes with Gymnasium: an agent that fits trains in it, and one that does not says which do."""

import gymnasium as gym
import pytest

from lab.errors import BadSetting
from lab.registry import find_task
from lab.rl.envs.entry_point import find_spec
from tests.rl import points

# needs JAX, or packages of the time before; no environments of their own
OTHERS = ("phys2d/", "tabular/", "Gym")
OLD = {name for name in gym.registry if name.endswith(("-v2", "-v3")) and ".mujoco" in str(gym.spec(name).entry_point)}
OLD |= {name for name in gym.registry if name.endswith("-v4") and name.removesuffix("v4") + "v5" in gym.registry}
BUILT_IN = [
    name
    for name, spec in gym.registry.items()
    if not name.startswith(OTHERS) and name not in OLD and "ale_py" not in str(spec.entry_point)
]
GAMES = ["PongNoFrameskip-v4", "BreakoutNoFrameskip-v4", "ALE/Freeway-v5"]
UNFITTING = {True: ("ddpg", "td3", "sac", "tqc"), False: ("dqn", "td_control", "monte_carlo")}


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
    discrete = is_discrete(name)
    for agent in UNFITTING[discrete]:
        with pytest.raises(BadSetting, match=r"dqn|ppo|sac") as refused:
            points.train(find_task(agent), name, discrete=True)
        assert "\n" not in str(refused.value)
