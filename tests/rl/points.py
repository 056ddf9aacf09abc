"""A point on a line, as different people would have written it; and short trainings in it."""

from typing import ClassVar

import gymnasium as gym
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete
from lightning import Trainer, seed_everything

from lab.rl.data.replay import ReplayData
from lab.rl.ppo import PPO

QUIET = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
SHORT = {"total_steps": 60, "eval_every": 40, "eval_episodes": 2, "test_episodes": 2}


class Point(gym.Env):
    """Observes (steps, place), moves by its action, and is paid for being near 0."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 10}
    low, high, kind, shared, made = -1.0, 1.0, np.float32, False, 0

    def __init__(self, render_mode=None):
        Point.made += 1
        self.render_mode = render_mode
        self.observation_space = Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = Box(self.low, self.high, (1,), self.kind)
        self.state = np.zeros(2, np.float32)

    def shown(self):
        return self.state if self.shared else self.state.copy()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self.state[:] = 0, self.np_random.uniform(-1, 1)
        return self.shown(), {}

    def step(self, action):
        self.state += 1, self.move(action)
        return self.shown(), -abs(float(self.state[1])), bool(abs(self.state[1]) > 3), False, {}

    def render(self):
        return np.zeros((16, 16, 3), np.uint8)

    def move(self, action):
        distance = float(action[0])
        if self.shared:
            action[:] = 77  # it is the environment's own
        return distance


class Shared(Point):
    """Returns one and the same array, and changes its actions."""

    shared = True


class Strict(Point):
    """Refuses an action that is outside its space by one bit."""

    low, high = -4.6, 2.7

    def move(self, action):
        assert self.action_space.contains(action), action
        return float(action[0]) * 0.1


class Double(Strict):
    kind = np.float64


class Whole(Strict):
    low, high, kind = 0, 5, np.int64


class Lookup(Point):
    """Looks its discrete action up in a dictionary."""

    first = 0

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.action_space = Discrete(3, start=self.first)

    def move(self, action):
        return {0: -0.5, 1: 0.5, 2: 0.0}[action - self.first]


class SharedLookup(Lookup):
    shared = True


class FromOne(Lookup):
    """Counts its actions from 1."""

    first = 1


class Sized(Point):
    """Cannot be made without its size."""

    def __init__(self, size: int, speed: float = 1.0, **keywords):
        super().__init__(**keywords)
        self.size, self.speed = size, speed


def register(monkeypatch, kind, limit=20):
    name = f"{kind.__name__}-v0"
    monkeypatch.setitem(gym.registry, name, EnvSpec(name, entry_point=kind, max_episode_steps=limit))
    return name


def fit(agent, data, callbacks=(), logger=False, **settings):
    torch.set_num_threads(1)
    trainer = Trainer(
        **(data.trainer_defaults() | QUIET), logger=logger, callbacks=list(callbacks), accelerator="cpu", **settings
    )
    trainer.fit(agent, datamodule=data)
    return trainer


def train(task, env, *, discrete=False, **settings):
    """A short training of a task's agent; the module, the data and the trainer."""
    seed_everything(0, verbose=False)
    if issubclass(task.data, ReplayData):
        own = {"learning_starts": 20, "batch_size": 8, "train_freq": 10}
        own |= {"num_action_bins": 5} if task.module.__name__ == "DQN" and not discrete else {}
    else:
        own = {"num_envs": 4 if task.module.__name__ == "PolicySearch" else 2, "num_steps": 10}
    data = task.data(env, **(SHORT | own | settings))
    keywords = {"batch_size": 10} if issubclass(task.module, PPO) else {}
    keywords |= {"memory_size": 8} if task.module.__name__ == "RecurrentPPO" else {}
    facts = {name: value for name, value in data.facts().items() if name in task.module.__init__.__code__.co_varnames}
    model = task.module(**facts, hidden=[8], **keywords)
    return model, data, fit(model, data)


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
