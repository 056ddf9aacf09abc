"""A seed for each episode of an environment that begins those without one from random numbers of the operating system.

`np_random, _ = seeding.np_random(seed)` or `default_rng(seed)` in a `reset`, without a look at whether there is a seed,
makes a new generator for each episode: panda-gym has it. Only the first episode of a training has a seed, so that no
training of such an environment could be repeated or resumed.
"""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import data_equivalence

CAREFUL = ("gymnasium", "ale_py")  # packages whose environments keep their generator


class SeededResets(gym.Wrapper[Any, Any, Any, Any]):
    """Draws a seed for each reset that has none; the first of them is drawn from the seed before.

    >>> env = SeededResets(gym.make("CartPole-v1"))
    >>> first = env.reset(seed=0), env.reset()
    >>> data_equivalence(first, (env.reset(seed=0), env.reset()), exact=True)
    True
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.generator = np.random.default_rng(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is None:
            seed = int(self.generator.integers(2**31))
        else:
            self.generator = np.random.default_rng(seed)
        return self.env.reset(seed=seed, options=options)


def needs_seeds(env: gym.Env[Any, Any], name: str) -> bool:
    """Whether its second episode begins otherwise although the first had the same seed; resets it four times.

    Where already the first episode begins otherwise, no seed helps, and a warning says that.
    """
    try:
        first, second = ((env.reset(seed=0)[0], env.reset()[0]) for _ in range(2))
    except Exception:  # a fault that the first real reset reports
        return False
    if not data_equivalence(first[0], second[0], exact=True):
        warnings.warn(
            f"{name} begins differently with the same seed; evaluations do not start from the same states, "
            "and trainings may not repeat",
            stacklevel=2,
        )
        return False
    return not data_equivalence(first[1], second[1], exact=True)
