"""A new world for each episode of BipedalWalker, as Gymnasium's LunarLander has it.

Gymnasium's BipedalWalker destroys the bodies of the last episode and keeps the world, whose order of contacts then
depends on all episodes before: from the same seed and with the same actions, an episode goes another way in its last
bits and soon in its steps. So scores would depend on what was evaluated before, and a resumed run would differ.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

WALKER = ("gymnasium.envs.box2d.bipedal_walker", "BipedalWalker")


class NewWorld(gym.Wrapper[Any, Any, Any, Any]):
    """Makes the world anew before a reset, and takes away the list of the bodies that were in the old one."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        walker: Any = self.unwrapped
        walker.world, walker.terrain = type(walker.world)(), []
        return self.env.reset(seed=seed, options=options)


def with_new_worlds(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """`env`, with new worlds if it is a BipedalWalker or made of one."""
    kinds = [(kind.__module__, kind.__name__) for kind in type(env.unwrapped).__mro__]
    return NewWorld(env) if WALKER in kinds else env
