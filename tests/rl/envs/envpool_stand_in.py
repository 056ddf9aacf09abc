"""What EnvPool shows of itself, made of Gymnasium's environments: for tests where the package is not installed."""

from collections import namedtuple
from types import SimpleNamespace

import gymnasium as gym
import numpy as np

NAMES = ("CartPole-v1", "Pendulum-v1", "FrozenLake-v1", "Breakout-v5", "KuhnPoker-v1")


def list_all_envs():
    return list(NAMES)


def make_spec(name, **settings):
    known = {"num_envs": 1, "num_threads": 0, "seed": 42, "max_num_players": 1 + (name == "KuhnPoker-v1")}
    known |= {"max_episode_steps": 500 if name == "CartPole-v1" else 200, "reward_threshold": 475.0}
    known |= {"episodic_life": False, "reward_clip": False, "stack_num": 4} if name == "Breakout-v5" else {}
    Config = namedtuple("Config", [*known, *(key for key in settings if key not in known)])
    env = gym.make(_real(name))
    return SimpleNamespace(
        config=Config(**(known | settings)),
        gymnasium_observation_space=env.observation_space,
        gymnasium_action_space=env.action_space,
    )


def make_gymnasium(name, num_envs, seed, render_mode=None, **settings):
    return Pool(name, num_envs, seed, render_mode, make_spec(name, **settings).config.max_episode_steps)


class Pool:
    """The next episode of an environment begins in the step after the end, unless it is reset before."""

    def __init__(self, name, num_envs, seed, render_mode, limit):
        self.envs = [gym.make(_real(name), max_episode_steps=limit, render_mode=render_mode) for _ in range(num_envs)]
        self.observation_space, self.action_space = self.envs[0].observation_space, self.envs[0].action_space
        self.seeds, self.over = [seed + number for number in range(num_envs)], [False] * num_envs

    def reset(self, env_id=None):
        rows = range(len(self.envs)) if env_id is None else env_id
        seen = []
        for number in rows:
            seen.append(self.envs[number].reset(seed=self.seeds[number])[0])
            self.seeds[number], self.over[number] = None, False
        return np.array(seen), {"env_id": np.array(rows, np.int32)}

    def step(self, actions):
        steps = []
        for number, action in enumerate(actions):
            if self.over[number]:
                seen, info = self.envs[number].reset()
                steps.append((seen, 0.0, False, False))
            else:
                steps.append(self.envs[number].step(action)[:4])
            self.over[number] = steps[-1][2] or steps[-1][3]
        seen, reward, terminated, truncated = map(np.array, zip(*steps, strict=True))
        info = {"env_id": np.arange(len(steps), dtype=np.int32)}
        return seen, reward.astype(np.float32), terminated, truncated, info

    def render(self):
        return np.array([env.render() for env in self.envs])

    def close(self):
        for env in self.envs:
            env.close()


def _real(name):
    return "CartPole-v1" if name in ("Breakout-v5", "KuhnPoker-v1") else name
