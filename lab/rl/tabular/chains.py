"""Markov reward processes as environments with a single action, registered with Gymnasium.

Importing this module registers them, so `data.env` is `lab.rl.tabular.chains:RandomWalk-v0`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from lab.rl.tabular.table_env import TableEnv

# sitting, standing, crashed: a robot that learns to stand up earns 1 while it stands
ROBOT = {"transition": [[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.0, 0.0, 1.0]], "rewards": [0.0, 1.0, 0.0]}


class Chain(TableEnv):
    """A Markov reward process: one action, with which the next state is drawn.

    >>> weather = Chain([[0.9, 0.1], [0.5, 0.5]], rewards=[1.0, 0.0], start=0)  # sunny, rainy
    >>> weather.P[1][0]
    [(0.5, 0, 0.0, False), (0.5, 1, 0.0, False)]

    Args:
        transition: probability (S, S) of each next state; a state that only leads to itself ends the episode.
        rewards: of leaving each state, (S,), or of moving from one to another, (S, S).
        start: the first state.
    """

    def __init__(
        self,
        transition: Sequence[Sequence[float]],
        rewards: Sequence[Any],
        start: int = 0,
        render_mode: str | None = None,
    ) -> None:
        count = len(transition)
        reward = np.asarray(rewards, np.float64)
        reward = np.broadcast_to(reward[:, None], (count, count)) if reward.ndim == 1 else reward
        ends = [row[state] == 1 for state, row in enumerate(transition)]
        table = {
            state: {0: [(float(p), to, float(reward[state, to]), ends[to]) for to, p in enumerate(row) if p]}
            for state, row in enumerate(transition)
        }
        super().__init__(table, np.eye(count)[start], render_mode)


def random_walk(states: int = 19, render_mode: str | None = None) -> Chain:
    """Left or right with equal probability from the middle; 1 for leaving on the right, -1 on the left."""
    transition, rewards = np.eye(states + 2), np.zeros((states + 2, states + 2))
    for state in range(1, states + 1):
        transition[state, state], transition[state, [state - 1, state + 1]] = 0.0, 0.5
    rewards[1, 0], rewards[states, states + 1] = -1.0, 1.0
    return Chain(transition.tolist(), rewards.tolist(), (states + 1) // 2, render_mode)


gym.register("Robot-v0", entry_point="lab.rl.tabular.chains:Chain", max_episode_steps=200, kwargs=ROBOT)
gym.register("RandomWalk-v0", entry_point="lab.rl.tabular.chains:random_walk")
