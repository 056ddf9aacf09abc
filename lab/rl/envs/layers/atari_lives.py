"""Lives in Atari games: where a ball has to be served for each of them, and where each is an episode of its own."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

FIRE = 1  # the action, in games that have it


class FireReset(gym.Wrapper[Any, Any, Any, Any]):
    """Fires at the beginning of a game and of each further life: many games wait for it, and an agent that has not
    found out stands still.
    """

    lives = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.env.reset(seed=seed, options=options)
        found, _, terminated, truncated, info = self.env.step(FIRE)
        if terminated or truncated:
            found, info = self.env.reset(options=options)
        self.lives = lives(self)
        return found, info

    def step(self, action: Any) -> Any:
        found, reward, terminated, truncated, info = self.env.step(action)
        lost, self.lives = lives(self) < self.lives, lives(self)
        if lost and not (terminated or truncated):
            found, more, terminated, truncated, info = self.env.step(FIRE)
            reward = float(reward) + float(more)
        return found, reward, terminated, truncated, info


class EpisodicLife(gym.Wrapper[Any, Any, Any, Any]):
    """Ends an episode with a life; the next one goes on in the same game, as long as there is a life left.

    Gymnasium's `AtariPreprocessing(terminal_on_life_loss=True)` begins a new game instead, so that an agent would never
    see what comes after its first mistake.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.lives, self.over = 0, True  # the game's, and whether it has ended

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if self.over or seed is not None:
            found, info = self.env.reset(seed=seed, options=options)
        else:
            found, _, terminated, truncated, info = self.env.step(0)  # does nothing for a moment
            if terminated or truncated:
                found, info = self.env.reset(seed=seed, options=options)
        self.over, self.lives = False, lives(self)
        return found, info

    def step(self, action: Any) -> Any:
        found, reward, terminated, truncated, info = self.env.step(action)
        lost, self.lives, self.over = lives(self) < self.lives, lives(self), terminated or truncated
        return found, reward, terminated or lost, truncated, info


def lives(env: gym.Env[Any, Any]) -> int:
    """The lives that are left in a game."""
    game: Any = env.unwrapped
    left: int = game.ale.lives()
    return left
