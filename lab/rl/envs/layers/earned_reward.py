"""Scores by the environment's own rewards, whatever wrappers around it make of them.

So scores stay comparable: a wrapper that clips or scales rewards changes what an agent learns from and not what it is
measured by.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym


class EarnedReward(gym.Wrapper[Any, Any, Any, Any]):
    """Sums up the environment's own rewards until they are asked for."""

    earned = 0.0

    def step(self, action: Any) -> Any:
        result: Any = self.env.step(action)
        self.earned += float(result[1])
        return result


class ScoredReward(gym.Wrapper[Any, Any, Any, Any]):
    """Returns what was earned inside in place of the rewards that other wrappers made of it."""

    def __init__(self, env: gym.Env[Any, Any], inside: EarnedReward) -> None:
        super().__init__(env)
        self.inside = inside

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        result = self.env.reset(seed=seed, options=options)
        self.inside.earned = 0.0
        return result

    def step(self, action: Any) -> Any:
        observation, _, *rest = self.env.step(action)
        earned, self.inside.earned = self.inside.earned, 0.0
        return observation, earned, *rest
