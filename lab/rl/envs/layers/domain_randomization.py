"""Domain randomisation: a world with other numbers in every episode, so that a policy does not fit a single one.

Sources: Tobin et al. 2017, "Domain randomization for transferring deep neural networks from simulation to the real
world"; Peng et al. 2018, "Sim-to-real transfer of robotic control with dynamics randomization".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
from gymnasium.envs.classic_control import CartPoleEnv

from lab.errors import suggestion


class DomainRandomization(gym.Wrapper[Any, Any, Any, Any]):
    """Draws numbers of the environment, such as masses and lengths, uniformly at every reset.

    They come from the environment's own generator, so that a start seed also says in which world an episode is. The
    agent does not see them; with a memory, or `PreviousStep` and a memory, it can find them out.

    >>> env = DomainRandomization(gym.make("Pendulum-v1"), ranges={"m": [0.5, 1.5], "l": [0.5, 1.5]})
    >>> _ = env.reset(seed=0)
    >>> round(env.unwrapped.m, 3), round(env.unwrapped.l, 3)
    (0.541, 0.517)

    Args:
        ranges: attribute of the environment -> its lowest and highest value, in the environment's units.

    Raises:
        ValueError: the environment has no such number, or a range is not two finite numbers in order.
    """

    def __init__(self, env: gym.Env[Any, Any], ranges: Mapping[str, Sequence[float]]) -> None:
        super().__init__(env)
        if not isinstance(ranges, Mapping) or not ranges:
            raise ValueError(f"ranges is {ranges or 'empty'}; expected such as {{gravity: [5.0, 15.0]}}")
        for name, bounds in ranges.items():
            _check(name, bounds, self.unwrapped)
        self.ranges = {name: (float(low), float(high)) for name, (low, high) in ranges.items()}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is not None:
            self.env.reset(seed=seed, options=options)  # a world is drawn before the episode that begins in it
        inner: Any = self.unwrapped
        for name, (low, high) in self.ranges.items():
            setattr(inner, name, float(self.np_random.uniform(low, high)))
        if isinstance(inner, CartPoleEnv):  # computes these in its constructor only
            inner.total_mass = inner.masspole + inner.masscart
            inner.polemass_length = inner.masspole * inner.length
        return self.env.reset(options=options)


def _check(name: str, bounds: Any, env: gym.Env[Any, Any]) -> None:
    numbers = _numbers(env)
    if name not in numbers:
        kind = type(env).__name__
        if hasattr(env, name):
            raise ValueError(f"{name!r} of {kind} is no single number; its numbers are {', '.join(numbers)}")
        raise ValueError(f"{kind} has no number {name!r}{suggestion(name, numbers)}")
    is_pair = isinstance(bounds, Sequence) and len(bounds) == 2 and all(map(_is_number, bounds))
    if not is_pair or not -math.inf < bounds[0] <= bounds[1] < math.inf:
        raise ValueError(f"the range of {name!r} is {bounds!r}; expected [lowest, highest]")


def _numbers(env: gym.Env[Any, Any]) -> list[str]:
    """Names of the attributes that are numbers, those of its class included."""
    every: dict[str, Any] = {}
    for kind in reversed(type(env).__mro__):
        every |= vars(kind)
    return sorted(name for name, value in (every | vars(env)).items() if name[0] != "_" and _is_number(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
