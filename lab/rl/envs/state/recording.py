"""The present episode of an environment that cannot be read, as what was done in it: `episode.py` plays it again."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.rl.envs.state import snapshot
from lab.rl.envs.state.plain import State
from lab.rl.envs.state.values import Environment

MOST_STEPS = 100_000  # more than in any of Gymnasium's environments; some have no end


class Recording:
    """What was known before an episode began, and its actions.

    Attributes that can be read may matter for longer than an episode, such as generators, running statistics and
    counters; so they are written down before each reset. Before the first one there is nothing but the constructor's.
    """

    def __init__(self) -> None:
        self.is_new = True  # its environment was never reset
        self.seed: int | None = None
        self.before: list[State] | None = None
        self.actions: list[np.ndarray] = []
        self.seen: Any = None  # the latest observation
        self.earned = 0.0

    def begin(self, env: Environment, seed: int | None) -> None:
        """Is called before a reset."""
        chain = list(snapshot.layers(env))
        self.before = None if self.is_new else snapshot.holdings(chain, chain, partly=True)
        self.seed = seed

    def began(self, env: Environment, seen: Any) -> Recording | None:
        """Is called after a reset; None where nothing has to be recorded, because the environment can be read."""
        if self.is_new and snapshot.take(env) is not None:
            return None
        self.is_new, self.actions, self.seen, self.earned = False, [], seen, 0.0
        return self

    def add(self, action: Any, seen: Any, reward: float) -> None:
        """Is called after a step."""
        if len(self.actions) <= MOST_STEPS:
            self.actions.append(np.array(action))
        self.seen = seen
        self.earned += reward
