"""A point on a line, as different people would have written it; and short trainings in it."""

import itertools
from typing import ClassVar

import gymnasium as gym
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete
from lightning import Trainer, seed_everything

from lab.rl.data.replay import ReplayData
from lab.rl.offline.offline_data import OfflineData
from lab.rl.ppo import PPO
from lab.rl.tabular.data import TabularData
from tests.parameters import long_but

QUIET = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
SHORT = {"total_steps": 60, "eval_every": 40, "eval_episodes": 2, "test_episodes": 2}

# One agent for each way of learning; the others share their code, and are `long` where each of them would train.
ONE_OF_EACH = {"ddpg", "sac", "dqn", "rainbow", "ppo", "recurrent_ppo", "q_learning", "iql"}


def one_of_each(names):
    """The names as parameters of a test, of which all but one for each way of learning are `long`."""
    return long_but(ONE_OF_EACH, names)


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


class Cells(Point):
    """Seven cells in a row, of which both ends are the last; a transition table says the same."""

    cells = 7

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.observation_space, self.action_space = Discrete(self.cells), Discrete(2)
        self.state = np.array(3)
        self.P = {
            cell: {side: [(1.0, *self.outcome(cell, 2 * side - 1))] for side in (0, 1)} for cell in range(self.cells)
        }

    def outcome(self, cell, way):
        after = min(max(cell + way, 0), self.cells - 1)
        return after, float(after == self.cells - 1), after in (0, self.cells - 1)

    def shown(self):
        return self.state if self.shared else int(self.state)

    def reset(self, *, seed=None, options=None):
        gym.Env.reset(self, seed=seed, options=options)
        self.state[...] = self.np_random.integers(1, self.cells - 1)
        return self.shown(), {}

    def step(self, action):
        self.state[...], reward, over = self.outcome(int(self.state), 2 * int(action) - 1)
        return self.shown(), reward, over, False, {}


class SharedCells(Cells):
    """Shows one and the same array without dimensions."""

    shared = True


class Sized(Point):
    """Cannot be made without its size."""

    def __init__(self, size: int, speed: float = 1.0, **keywords):
        super().__init__(**keywords)
        self.size, self.speed = size, speed


class Opaque(gym.Wrapper):
    """Holds something that cannot be read, and moves by how often it was asked since it was made."""

    def __init__(self, env):
        super().__init__(env)
        self.handle = itertools.count(1)

    def step(self, action):
        return self.env.step(action / next(self.handle))


def register(monkeypatch, kind, limit=20):
    name = f"{kind.__name__}-v0"
    monkeypatch.setitem(gym.registry, name, EnvSpec(name, entry_point=kind, max_episode_steps=limit))
    return name


def fit(agent, data, callbacks=(), logger=False, **settings):
    torch.set_num_threads(1)
    trainer = Trainer(
        **(data.trainer_defaults() | QUIET | settings), logger=logger, callbacks=list(callbacks), accelerator="cpu"
    )
    trainer.fit(agent, datamodule=data)
    return trainer


def train(task, env, *, discrete=False, model=None, trainer=None, **settings):
    """A short training of a task's agent; the module, the data and the trainer."""
    seed_everything(0, verbose=False)
    name, steps = task.module.__name__, SHORT
    keywords = {"hidden": [8]}
    if issubclass(task.data, ReplayData):
        own = {"learning_starts": 20, "batch_size": 8, "train_freq": 10}
        own |= {"num_action_bins": 5} if name.endswith("DQN") and not discrete else {}
    elif issubclass(task.data, OfflineData):
        steps = {"name": "episodes", "total_updates": 20, "eval_every": 20, "eval_episodes": 1, "test_episodes": 1}
        own = {"batch_size": 8, "updates_per_block": 5}
        if name == "DecisionTransformer":
            keywords = {"width": 8, "depth": 1, "context": 4, "max_steps": 20}
    elif issubclass(task.data, TabularData):
        own, keywords = {"train_freq": 10}, {}
    else:
        own = {"num_envs": 4 if name == "PolicySearch" else 2, "num_steps": 10}
    data = task.data(env=env, **(steps | own | settings))
    keywords |= {"batch_size": 10} if issubclass(task.module, PPO) else {}
    keywords |= {"memory_size": 8} if name == "RecurrentPPO" else {}
    if name == "PETS":
        keywords = {"model_hidden": [8], "horizon": 3, "num_candidates": 8, "num_iterations": 2}
    facts = {key: value for key, value in data.facts().items() if key in task.module.__init__.__code__.co_varnames}
    agent = task.module(**facts, **keywords | (model or {}))
    data.connect(agent)
    return agent, data, fit(agent, data, **(trainer or {}))


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
