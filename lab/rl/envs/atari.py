"""Atari games as Mnih et al. 2015 show them to an agent, through Gymnasium's own wrappers.

An observation is the last 4 screens (4, 84, 84), grey, one byte a pixel; an action holds for 4 frames. A game begins
with up to 30 frames in which nothing is done. In training only, an episode ends with a life and rewards are cut to
their sign, so that one learning rate suits every game; scores are those of whole games. Deviation: the two frames that
the brighter pixel is taken from are Gymnasium's choice.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import AtariPreprocessing, ClipReward, FrameStackObservation, TimeLimit

SCREENS = 4
NAMES = re.compile(r"ALE/|\w+NoFrameskip-v")  # those that can be known where ale-py is missing


def register() -> bool:
    """Makes the games known to Gymnasium, where they are installed; says whether they are."""
    if find_spec("ale_py") is None:
        return False
    import ale_py

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # it greets with every game
    gym.register_envs(ale_py)
    return True


def is_game(env: str) -> bool:
    """Whether a registered environment is one of the games."""
    return env in gym.registry and str(gym.registry[env].entry_point).startswith("ale_py.")


def make(env: str | EnvSpec, max_episode_steps: int | None = None, **settings: Any) -> gym.Env[Any, Any]:
    """A whole game with its true score; `max_episode_steps` counts what the agent sees, not frames."""
    made = AtariPreprocessing(gym.make(env, frameskip=1, **settings))
    stacked: gym.Env[Any, Any] = FrameStackObservation(made, SCREENS)
    return stacked if max_episode_steps is None else TimeLimit(stacked, max_episode_steps)


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
        self.over, self.lives = False, self.game().lives()
        return found, info

    def step(self, action: Any) -> Any:
        found, reward, terminated, truncated, info = self.env.step(action)
        lives = self.game().lives()
        lost, self.lives, self.over = lives < self.lives, lives, terminated or truncated
        return found, reward, terminated or lost, truncated, info

    def game(self) -> Any:
        """The emulator."""
        emulated: Any = self.env.unwrapped
        return emulated.ale


def for_training(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """The training wrappers of a game: one life at a time, and the sign of a reward."""
    return EpisodicLife(ClipReward(env, -1.0, 1.0))  # rewards are whole numbers
