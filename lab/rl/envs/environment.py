"""Gymnasium environments by name: made, described by plain values, and refused in one clear line."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
from gymnasium.error import DependencyNotInstalled

from lab.errors import BadSetting, raised_in
from lab.keywords import keywords
from lab.rl.envs import entry_point, spaces
from lab.rl.envs.checked import CheckedEnv, first_line
from lab.rl.envs.layers import atari
from lab.rl.envs.layers.earned_reward import EarnedReward, ScoredReward
from lab.rl.envs.layers.frame_stack import stack_frames
from lab.rl.envs.layers.new_world import with_new_worlds
from lab.rl.envs.layers.seeded_resets import SeededResets
from lab.rl.envs.wrappers import Wrappers, find, wrap

# of this package, named as the packages that are missing without them
EXTRAS = ("mujoco", "box2d", "atari", "minatar", "minigrid", "panda_gym", "envpool")
MISSING = (ImportError, DependencyNotInstalled)
BY_GYMNASIUM = " was raised from the environment creator for "  # and more, after the text of a TypeError


def make(
    env: str,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: Wrappers = (),
    action_masks: bool = False,
    is_flat: bool = True,
    frame_stack: int | None = None,
    is_team: bool = False,
    is_scored: bool = False,
    seeds_resets: bool = False,
    **settings: Any,
) -> CheckedEnv:
    """The environment registered as `env`, such as `Pendulum-v1` or `module:Name-v0`, as a `CheckedEnv`.

    >>> make("CartPole-v1").observation_space.shape
    (4,)

    Args:
        env: its name.
        env_kwargs: keywords of its constructor.
        wrappers: what is put around it, the first one innermost.
        action_masks: whether observations have a mask of valid actions in them.
        is_flat: whether every observation becomes one array.
        frame_stack: observations that are shown at once; None for 1, and for 4 of Atari games.
        is_team: whether it is to be an environment of several agents.
        is_scored: whether rewards are the environment's own, whatever wrappers make of them.
        seeds_resets: whether each reset gets a seed.
        settings: those of `gymnasium.make`, such as `max_episode_steps` and `render_mode`.

    Raises:
        BadSetting: no such environment, wrapper or keyword, a package that is missing, or a constructor that fails.
    """
    given = env_kwargs or {}
    entry_point.check_owners(given)
    try:
        spec = entry_point.find_spec(env)
        creator = entry_point.find_creator(env, spec)
    except BadSetting as error:
        if isinstance(error.__cause__, MISSING) and (extra := _extra(env, error.__cause__)):
            raise BadSetting("env", f"{env!r} needs a package that is not installed: {extra}") from None
        raise
    if entry_point.is_team(spec) != is_team:
        found = "one agent: use another task, such as ppo" if is_team else "several agents: use task=ippo"
        raise BadSetting("env", f"{env!r} has {found}")
    is_game = atari.is_game(spec.id)
    supplied = {*spec.kwargs, *(atari.PREPROCESSED if is_game else ())}
    entry_point.check_keywords(env, creator, given, supplied, more=atari.preprocessing() if is_game else {})
    layers = find(wrappers)
    try:
        if ".mujoco." in str(spec.entry_point):
            _warn_for_mujoco()
        if is_game and frame_stack:
            settings["frame_stack"] = frame_stack
        make_it: Any = atari.make if is_game else gym.make
        inside = with_new_worlds(make_it(spec, disable_env_checker=True, **(dict(given) | settings)))
        if seeds_resets:
            inside = SeededResets(inside)
        if layers and is_scored:
            inside = EarnedReward(inside)
            wrapped: gym.Env[Any, Any] = ScoredReward(wrap(inside, env, layers), inside)
        else:
            wrapped = wrap(inside, env, layers)
        stacked = wrapped if is_game else stack_frames(wrapped, frame_stack or 1)
        made = CheckedEnv(stacked, env, action_masks, is_flat)
    except BadSetting:
        raise
    except (Exception, SystemExit) as error:
        raise _refused(env, creator, given, error) from error
    return made


def describe(env: str, env_kwargs: Mapping[str, Any] | None = None, wrappers: Wrappers = ()) -> dict[str, Any]:
    """Plain facts: `env`, `observation_size`, an `ObservationSize`, and `action`, an `ActionSpec`.

    >>> describe("CartPole-v1")
    {'env': 'CartPole-v1', 'observation_size': 4, 'action': {'count': 2}}

    Raises:
        BadSetting: the environment is unknown, or its spaces are none that an algorithm here can use.
    """
    made = make(env, env_kwargs, wrappers)
    try:
        return facts(made)
    finally:
        made.close()


def facts(made: CheckedEnv) -> dict[str, Any]:
    """The result of `describe`, for an environment that exists."""
    action = spaces.action_spec(made.name, made.env.action_space)
    return {"env": made.name, "observation_size": made.observation_size, "action": action}


def _refused(env: str, creator: Callable[..., Any], given: Mapping[str, Any], error: BaseException) -> BadSetting:
    """The error to raise when a constructor failed with `error`."""
    if isinstance(error, MISSING):
        needed = _extra(env, error) or first_line(error)
        return BadSetting("env", f"{env!r} needs a package that is not installed: {needed}")
    words, kind = first_line(error).partition(BY_GYMNASIUM)[0], type(error).__name__
    if isinstance(error, TypeError) and "unexpected keyword argument" in words:
        known, _ = keywords(creator)
        for name in given:
            if name not in known and repr(name) in words:
                return entry_point.unknown_keyword(env, name, known)
    said = f"{env!r}{''.join(f', {name}={value!r}' for name, value in given.items())} could not be created"
    if words != kind:
        said += f": {kind}: {words}"
    else:  # an error without a text, of which the place says more
        place = raised_in(error, creator)
        said += f": {kind} ({place})" if place else f": {kind}"
    return BadSetting("env_kwargs" if given else "env", said)


def _extra(env: str, error: BaseException) -> str:
    """The pip command that brings what `env` needs, if it is one of this package's extras."""
    entry = str(gym.registry[env].entry_point) if env in gym.registry else ""
    for extra in EXTRAS:
        if extra in entry or extra in str(error).lower():
            return f"pip install 'torch-lab[{extra}]'"
    return ""


@functools.cache
def _warn_for_mujoco() -> None:
    """Each of MuJoCo's warnings once; it writes them on the screen and into a file whenever an environment is made."""
    import mujoco

    def say(words: str) -> None:
        if "deprecated" not in words:  # in a model of Gymnasium's, where nobody here can change it
            warnings.warn(f"MuJoCo: {words}", stacklevel=1)

    mujoco.set_mju_user_warning(say)
