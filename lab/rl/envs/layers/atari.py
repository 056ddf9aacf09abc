"""Atari games as Mnih et al. 2015 show them to an agent, through Gymnasium's own wrappers.

An observation is the last 4 screens (4, 84, 84), grey, one byte a pixel; an action holds for 4 frames. A game begins
with up to 30 frames in which nothing is done; where a ball has to be served, it is (`FireReset`). In training only, an
episode ends with a life and rewards are cut to their sign, so that one learning rate suits every game; scores are those
of whole games. Deviation: the two frames that the brighter pixel is taken from are Gymnasium's choice.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import AtariPreprocessing, ClipReward, TimeLimit

from lab.errors import BadSetting
from lab.keywords import Keyword, keywords
from lab.rl.envs.layers.atari_lives import FIRE, EpisodicLife, FireReset
from lab.rl.envs.layers.frame_stack import stack_frames

SCREENS = 4
PREPROCESSING = ("frame_skip", "noop_max", "screen_size")
PREPROCESSED = {  # keywords of a game whose place the preprocessing takes: what to set instead
    "frameskip": "set env_kwargs.frame_skip",
    "obs_type": "an agent sees grey screens",
}
SIZES = range(5, 211)  # of a screen: the least that convolutions take, and the height of the game's own
FRAMES = range(1, 61)  # of an action: at most a second
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


def preprocessing() -> dict[str, Keyword]:
    """The keywords of Gymnasium's preprocessing that can be set beside those of a game."""
    known, _ = keywords(AtariPreprocessing)
    return {name: known[name] for name in PREPROCESSING}


def make(
    env: str | EnvSpec, max_episode_steps: int | None = None, frame_stack: int = SCREENS, **settings: Any
) -> gym.Env[Any, Any]:
    """A whole game with its true score; `max_episode_steps` counts what the agent sees, not frames.

    Raises:
        BadSetting: a keyword of the game that the preprocessing sets, or a size or number of frames out of range.
    """
    for name, instead in PREPROCESSED.items():
        if name in settings:
            raise BadSetting(f"env_kwargs.{name}", f"cannot be set for Atari games: {instead}")
    seen = {name: settings.pop(name) for name in PREPROCESSING if name in settings}
    if "screen_size" in seen:
        seen["screen_size"] = _screen_size(seen["screen_size"])
    if seen.get("frame_skip", FRAMES[0]) not in FRAMES:
        expected = f"expected {FRAMES[0]} to {FRAMES[-1]} frames"
        raise BadSetting("env_kwargs.frame_skip", f"{expected}, found {seen['frame_skip']!r}")
    raw = gym.make(env, frameskip=1, obs_type="grayscale", **settings)  # faster to make than colours, and unused
    made: gym.Env[Any, Any] = AtariPreprocessing(raw, **seen)
    game: Any = made.unwrapped
    if game.get_action_meanings()[FIRE] == "FIRE":
        made = FireReset(made)
    stacked = stack_frames(made, frame_stack)
    return stacked if max_episode_steps is None else TimeLimit(stacked, max_episode_steps)


def _screen_size(given: Any) -> tuple[int, int]:
    """The width and height of screens, given as both or as one number.

    Raises:
        BadSetting: they are something else.
    """
    size = tuple(given) if isinstance(given, list) else (given, given)
    if len(size) != 2 or not all(type(side) is int and side in SIZES for side in size):
        expected = f"expected a whole number from {SIZES[0]} to {SIZES[-1]}, or two of them: width and height"
        raise BadSetting("env_kwargs.screen_size", f"{expected}; found {given!r}")
    return size


def for_training(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """The training wrappers of a game: one life at a time, and the sign of a reward."""
    return EpisodicLife(ClipReward(env, -1.0, 1.0))  # rewards are whole numbers
