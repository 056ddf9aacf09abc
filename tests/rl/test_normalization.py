"""Running statistics and stacked observations of agents that learn from a replay buffer."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control import PendulumEnv
from lightning import seed_everything
from tensordict import TensorDict

from lab.errors import BadSetting
from lab.rl.data.replay import ReplayData
from lab.rl.dqn import DQN
from lab.rl.envs.environment import make
from lab.rl.sac import SAC
from lab.rl.td3 import TD3
from tests.rl import points

NORMALIZED = {"normalize_observations": True, "normalize_rewards": True}
FACTS = {"env": "Pendulum-v1", "observation_size": 3, "action": {"low": [-2.0], "high": [2.0]}}
GAMMA = 0.9


def collected(steps=7, envs=2):
    torch.manual_seed(3)
    done = torch.zeros(steps, envs, dtype=torch.bool)
    done[2, 0] = True
    following = {"observation": torch.randn(steps, envs, 3), "reward": torch.randn(steps, envs), "done": done}
    return TensorDict({"observation": 5 + 3 * torch.randn(steps, envs, 3), "next": following}, [steps, envs])


@pytest.mark.parametrize("kind", [SAC, TD3, DQN])
def test_what_is_sampled_is_normalised_by_all_that_was_collected(kind):
    facts = FACTS | ({"action": {"count": 2}} if kind is DQN else {})
    agent = kind(**facts, hidden=[8], gamma=GAMMA, num_envs=2, **NORMALIZED)
    steps = collected()
    agent.observe(steps[:4])
    agent.observe(steps[4:])
    seen, returns = steps["observation"].flatten(0, 1), []
    for column, done in zip(steps["next", "reward"].T, steps["next", "done"].T, strict=True):
        total = 0.0
        for reward, end in zip(column, done, strict=True):
            total = float(reward) + GAMMA * total
            returns.append(total)
            total = 0.0 if end else total
    ends = {"observation": torch.randn(1, 4, 3), "reward": torch.randn(1, 4, 1), "terminated": torch.zeros(1, 4, 1)}
    action = torch.zeros(1, 4, dtype=torch.int64) if kind is DQN else torch.zeros(1, 4, 1)
    batch = TensorDict({"observation": torch.randn(1, 4, 3), "action": action, "next": ends}, [1, 4])
    observation, _, reward, following, *_ = agent.update_inputs(batch)
    for found, shown in [(observation, batch["observation"]), (following, ends["observation"])]:
        torch.testing.assert_close(found, (shown - seen.mean(0)) / seen.std(0, correction=0))
    torch.testing.assert_close(reward, ends["reward"] / float(np.std(returns)))


@pytest.mark.parametrize("kind", [SAC, TD3, DQN])
def test_whoever_acts_sees_normalised_observations(kind):
    facts = FACTS | ({"action": {"count": 5}} if kind is DQN else {})
    quiet = {SAC: {}, TD3: {"sigma": 0.0}, DQN: {"epsilon": 0.0}}[kind]
    torch.manual_seed(0)
    agent = kind(**facts, hidden=[8], **quiet, **NORMALIZED)
    agent.observe(collected(envs=1))
    observation = 5 + 3 * torch.randn(64, 3)
    plain = kind(**facts, hidden=[8], **quiet)
    plain.load_state_dict({name: value for name, value in agent.state_dict().items() if "norm" not in name})
    torch.testing.assert_close(agent(observation), plain(agent.normalize(observation)))
    for one, shown in [(agent, observation), (plain, agent.normalize(observation))]:
        torch.manual_seed(1)
        one.found = one.exploration_policy()(TensorDict({"observation": shown}, [64]))["action"]
    torch.testing.assert_close(agent.found, plain.found)


def test_several_processes_are_refused():
    agent = SAC(**FACTS, hidden=[8], normalize_rewards=True)
    agent._trainer = SimpleNamespace(world_size=2, precision="32-true", datamodule=None)
    with pytest.raises(BadSetting, match=r"normalize_rewards: each process would have statistics of its own"):
        agent.setup("fit")


@pytest.mark.slow
def test_random_steps_are_counted_too():
    seed_everything(0, verbose=False)
    data = ReplayData("Pendulum-v1", total_steps=300, learning_starts=200, train_freq=50, num_envs=2, eval_episodes=1)
    agent = SAC(**data.facts(), hidden=[8], **NORMALIZED)
    points.fit(agent, data)
    assert int(agent.observation_norm.count) == 300
    torch.testing.assert_close(agent.observation_norm.mean, data.replay[:]["observation"].mean(0))
    assert data.replay[:]["next", "reward"].min() < -2, "the buffer holds what was earned"


@pytest.mark.parametrize("kind", [points.Point, points.Shared])
def test_frames_are_the_latest_observations(kind, monkeypatch):
    env, plain = (make(points.register(monkeypatch, kind), frame_stack=count) for count in (3, None))
    seen = [plain.reset(seed=0)[0]] * 3
    assert np.array_equal(env.reset(seed=0)[0], np.concatenate(seen))
    for action in (0.5, -0.2, 0.1, 0.3):
        seen.append(plain.step(np.array([action]))[0])
        assert np.array_equal(env.step(np.array([action]))[0], np.concatenate(seen[-3:]))


def test_frames_of_choices_and_of_parts():
    assert ReplayData("FrozenLake-v1", 200, frame_stack=2).facts()["observation_size"] == {
        "observation": {"counts": [16, 16]}
    }
    with pytest.raises(BadSetting, match=r"vector cannot put data.frame_stack around an environment; use sync"):
        ReplayData("CartPole-v1", 200, frame_stack=2, vectorization="vector", num_envs=2).facts()
    assert gym.spec("CartPole-v1").vector_entry_point


@pytest.mark.long
def test_it_learns_from_observations_of_very_different_sizes(monkeypatch):
    """Pendulum with its velocity in units a thousand times as small, and rewards a thousand times as large."""

    class Units(gym.Wrapper):
        def reset(self, **keywords):
            seen, info = self.env.reset(**keywords)
            return seen * np.array([1, 1, 1000], np.float32), info

        def step(self, action):
            seen, reward, *rest = self.env.step(action)
            return seen * np.array([1, 1, 1000], np.float32), 1000 * reward, *rest

    spec = gym.envs.registration.EnvSpec(
        "Units-v0", entry_point=lambda **k: Units(PendulumEnv(**k)), max_episode_steps=200
    )
    monkeypatch.setitem(gym.registry, "Units-v0", spec)
    scores = {}
    for normalized in (True, False):
        seed_everything(0, verbose=False)
        data = ReplayData("Units-v0", 6_000, learning_starts=1_000, batch_size=64, eval_every=6_000, eval_envs=20)
        norms = dict.fromkeys(NORMALIZED, normalized)
        agent = SAC(**data.facts(), hidden=[64, 64], lr=2e-3, gamma=0.95, **norms)
        scores[normalized] = float(points.fit(agent, data).callback_metrics["val/return"]) / 1000
    assert scores[True] > -250 > -600 > scores[False], scores
