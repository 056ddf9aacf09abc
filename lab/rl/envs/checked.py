"""The border to an environment: copies in both directions, actions inside their space, and faults named in one line.

Many environments return the same array in every step, or change an action in place; others are of an older interface or
show NaN. Whatever passes here is a copy of the declared type, so that nobody behind it has to know. A step through it
takes 1.5 to 6 us more than without, by the processor.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np

from lab.errors import BadSetting, LabError
from lab.rl.envs.flattening import Flattening, Unfit
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import mask_size
from lab.rl.envs.state.recording import Recording

NUMBERS = (int, float, np.integer, np.floating)
TRUTHS = (True, False, 0, 1)
OLD_STEP = (
    "core environment is written in old step API which returns one bool instead of two; "
    "it should return (observation, reward, terminated, truncated, info)"
)
NO_INFO = "the info returned by `{}()` must be a python dictionary, actual type: "
OLD_RESET = "the result returned by `env.reset()` was not a tuple of the form `(obs, info)`, actual type: "


class CheckedEnv(gym.Wrapper[Any, Any, Any, Any]):
    """An environment with one array as observation and in single precision, which counts its steps and episodes.

    >>> env = CheckedEnv(gym.make("Pendulum-v1"), "Pendulum-v1")
    >>> observation, _ = env.reset(seed=0)
    >>> _ = env.step(np.array([9.0]))  # is clipped to its bound, 2
    >>> observation.dtype, env.steps, env.episode
    (dtype('float32'), 1, 1)

    Args:
        env: the environment.
        name: what it is registered as.
        action_masks: whether observations have the mask of valid actions in them, which the environment has as
            `info["action_mask"]` or by a method `action_masks()`.
        is_flat: whether every observation becomes one array; if not, those that are none stay as they are.

    Raises:
        BadSetting: no network here takes such observations, or there is no mask of such actions.
        LabError: in `reset` and `step`, if the environment fails or returns what it may not; the message names it, the
            step, the episode and its start seed, and the column of an observation. It is a BadSetting where already
            the first reset or step returns what it may not.
    """

    def __init__(self, env: gym.Env[Any, Any], name: str, action_masks: bool = False, is_flat: bool = True) -> None:
        super().__init__(env)
        self.name, self.steps, self.episode, self.episode_steps = name, 0, 0, 0
        self.start_seed: int | None = None
        self.recording: Recording | None = None  # of the present episode, where it may have to be played again
        seen, action = _space(env, "observation_space"), _space(env, "action_space")
        self.is_vector = isinstance(seen, gym.spaces.Box) and len(seen.shape) == 1 and seen.shape[0] > 0
        self.flattening: Flattening | None = None
        self.observation_size: ObservationSize = (seen.shape or (0,))[0] if self.is_vector else 0
        self.masks: Any = None  # the environment's own method, where it has one
        if is_flat and (action_masks or not self.is_vector):
            self.flattening = Flattening(name, seen, mask_size(name, action) if action_masks else None)
            self.observation_size, self.is_vector = self.flattening.observation_size, False
            if action_masks and env.has_wrapper_attr("action_masks"):
                self.masks = env.get_wrapper_attr("action_masks")
            if self.observation_size == list(seen.shape or ()):  # an image as it is
                self.flattening = None
            else:
                self.observation_space = self.flattening.space()
        self.is_discrete, self.first_action = isinstance(action, gym.spaces.Discrete), 0
        if isinstance(action, gym.spaces.Discrete):
            self.action_type: Any = np.dtype(action.dtype)
            if action.start:  # here actions are counted from 0
                self.first_action, self.action_space = int(action.start), gym.spaces.Discrete(int(action.n))
        if isinstance(seen, gym.spaces.Box) and self.is_vector and seen.dtype != np.float32:
            self.observation_space = _single_precision(seen)
        self.seen_type: Any = self.observation_space.dtype
        self.seen_shape = self.observation_space.shape
        self.bounds: tuple[np.ndarray, np.ndarray] | None = None
        self.action_shape: tuple[int, ...] | None = None  # where it is no vector
        self.first_actions: np.ndarray | None = None  # of several choices
        if isinstance(action, gym.spaces.Box):
            self.bounds, self.action_type = (action.low.flatten(), action.high.flatten()), action.dtype
            self.action_shape = None if len(action.shape) == 1 else action.shape
            if action.dtype != np.float32 or self.action_shape is not None:
                self.action_space = _single_precision(action)
        elif isinstance(action, gym.spaces.MultiDiscrete | gym.spaces.MultiBinary):
            self.action_type, self.action_shape = np.dtype(action.dtype), action.shape
            start = getattr(action, "start", None)
            self.first_actions = np.zeros(action.shape, np.int64) if start is None else start.astype(np.int64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if self.episode_steps or not self.episode:  # else it is started once more
            self.episode += 1
        self.episode_steps, self.start_seed = 0, seed
        where = f"in the reset after env step {self.steps}, episode {self.episode}{self._start()}"
        if self.recording is not None:
            self.recording.begin(self.env, seed)
        try:
            result = self.env.reset(seed=seed, options=options)
        except (Exception, SystemExit) as error:  # some leave the process where they fail
            raise failure(self.name, where, error) from error
        if type(result) is not tuple or len(result) != 2:
            raise self._fault(where, OLD_RESET + _kind(result))
        if not isinstance(result[1], dict):
            raise self._fault(where, NO_INFO.format("reset") + _kind(result[1]))
        if self.flattening is not None:
            seen = self._flattened(*result, False, where)
        else:
            seen = self._observation(result[0], where, "reset")
        if self.recording is not None:
            self.recording = self.recording.began(self.env, seen)
        return seen, result[1]

    def step(self, action: Any) -> Any:
        self.steps += 1
        self.episode_steps += 1
        try:
            result: Any = self.env.step(self._action(action))
        except (Exception, SystemExit) as error:
            if isinstance(error, ValueError) and "to unpack (expected 5" in str(error):  # in a wrapper of Gymnasium's
                raise self._fault(self._where(), OLD_STEP) from error
            raise failure(self.name, self._where(), error) from error
        if type(result) is not tuple or len(result) != 5:
            raise self._fault(self._where(), OLD_STEP)
        observation, reward, terminated, truncated, info = result
        if type(terminated) is not bool:
            terminated = self._truth(terminated, "terminated")
        if type(truncated) is not bool:
            truncated = self._truth(truncated, "truncated")
        if type(info) is not dict and not isinstance(info, dict):
            raise self._fault("", NO_INFO.format("step") + _kind(info))
        if self.flattening is not None:
            seen = self._flattened(observation, info, terminated or truncated, "")
        else:
            seen = self._observation(observation, "", "step")
        reward = self._reward(reward)
        if self.recording is not None:
            self.recording.add(action, seen, reward)
        return seen, reward, terminated, truncated, info

    def _action(self, action: Any) -> Any:
        """A copy inside the space, of its own type; a NumPy scalar where it is discrete, as the space samples it."""
        if self.first_actions is not None:
            return (np.reshape(action, self.first_actions.shape) + self.first_actions).astype(self.action_type)
        if self.bounds is None:
            if not self.is_discrete or (type(action) is self.action_type.type and not self.first_action):
                return action
            return self.action_type.type(int(action) + self.first_action)
        low, high = self.bounds
        inside = np.minimum(np.maximum(action, low), high)
        if self.action_shape is not None:
            inside, low, high = (each.reshape(self.action_shape) for each in (inside, low, high))
        if inside.dtype == self.action_type:
            return inside
        if self.action_type.kind not in "iu":
            return inside.astype(self.action_type)
        with np.errstate(invalid="ignore"):  # the largest whole numbers have no float: 2**63 - 1 becomes 2**63
            whole = np.rint(inside).astype(self.action_type)
        return np.where(inside >= high, high, np.where(inside <= low, low, whole))

    def _observation(self, observation: Any, where: str, method: str) -> Any:
        if self.seen_shape is None or self.seen_type is None:  # parts, which only tables read
            return observation
        if type(observation) is np.ndarray and observation.dtype is self.seen_type:
            seen = observation.copy()
        else:
            seen = self._converted(observation, where, method)
        if seen.shape != self.seen_shape:
            expected = f"expected shape: {self.seen_shape}, actual shape: {seen.shape}"
            raise self._fault(
                where, f"the obs returned by the `{method}()` method is not within the observation space, {expected}"
            )
        # one product is a fifth of the time of `np.isfinite(...).all()`, which decides where that overflows
        if self.is_vector and not math.isfinite(seen.dot(seen)) and not np.isfinite(seen).all():
            column = int(np.flatnonzero(~np.isfinite(seen))[0])
            raise self._fault(where, f"column {column} of the observation is {seen[column]}")
        return seen

    def _flattened(self, observation: Any, info: dict[str, Any], is_over: bool, where: str) -> np.ndarray:
        """One array of all parts, with the mask of valid actions where there is one."""
        flattening, mask = self.flattening, None
        assert flattening is not None
        if "action_mask" in flattening.leaves:
            mask = np.reshape(self.masks() if self.masks is not None else info.get("action_mask", ()), -1)
            if len(mask) != flattening.leaves["action_mask"].shape[0] or not (is_over or mask.any()):
                wanted = "action_masks() or info['action_mask'] has to be one truth for each action, one of them true"
                raise self._fault(where, f"{wanted}; found {len(mask)}, {int(np.sum(mask != 0))} of them true")
        try:
            return flattening(observation, mask)
        except Unfit as error:
            raise self._fault(where, str(error)) from error

    def _converted(self, observation: Any, where: str, method: str) -> np.ndarray:
        try:
            self._check_numbers(observation, where, method)
            if not self.is_vector and not np.can_cast(np.asarray(observation).dtype, self.seen_type, "same_kind"):
                raise TypeError  # such as an image from 0 to 1 as whole numbers, which would be black
            return np.array(observation, self.seen_type)
        except (TypeError, ValueError):
            raise self._fault(
                where, f"the obs returned by the `{method}()` method was expecting a numpy array, actual type: "
                + _kind(observation),
            ) from None  # fmt: skip

    def _check_numbers(self, observation: Any, where: str, method: str) -> None:
        """Refuses what NumPy would turn into numbers: it drops imaginary parts and masks, and reads texts."""
        if isinstance(observation, np.ma.MaskedArray) and np.ma.is_masked(observation):
            raise self._fault(where, f"the obs returned by the `{method}()` method is an array with masked values")
        if (
            isinstance(observation, np.ndarray | list | tuple)
            and (kind := np.asarray(observation).dtype).kind in "cSUmM"
        ):
            raise self._fault(where, f"the obs returned by the `{method}()` method holds {kind}, expected real numbers")

    def _reward(self, reward: Any) -> float:
        if (
            type(reward) is not float  # asking the other types takes longer
            and not isinstance(reward, NUMBERS)
            and not (isinstance(reward, np.ndarray) and reward.ndim == 0)
        ):
            raise self._fault(
                "", "the reward returned by `step()` must be a float, int, np.integer or np.floating, "
                f"actual type: {_kind(reward)}",
            )  # fmt: skip
        try:
            value = float(reward)
        except OverflowError:  # a whole number of Python's has no limit
            value = math.inf
        if not math.isfinite(value):
            raise self._fault("", f"the reward is {value}")
        return value

    def _truth(self, value: Any, name: str) -> bool:
        is_one = isinstance(value, int | np.bool_ | np.integer) or (isinstance(value, np.ndarray) and not value.ndim)
        if is_one and value in TRUTHS:
            return bool(value)
        raise self._fault("", f"expects `{name}` signal to be a boolean, actual type: {_kind(value)}")

    def _fault(self, where: str, words: str) -> LabError:
        message = f"environment {self.name} failed {where or self._where()}: {words}"
        is_first = self.steps <= 1 and self.episode <= 1
        return BadSetting("env", message) if is_first else LabError(message)

    def _where(self) -> str:
        return f"at env step {self.steps}, step {self.episode_steps} of episode {self.episode}{self._start()}"

    def _start(self) -> str:
        return "" if self.start_seed is None else f" (start seed {self.start_seed})"


def failure(env: str, where: str, error: BaseException) -> LabError:
    """The error to raise when an environment's own code failed: its name, where, and the error in one line."""
    words, kind = first_line(error), type(error).__name__
    return LabError(f"environment {env} failed {where}: {kind if words == kind else f'{kind}: {words}'}")


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _single_precision(space: gym.spaces.Box) -> gym.spaces.Box:
    return gym.spaces.Box(space.low.astype(np.float32).reshape(-1), space.high.astype(np.float32).reshape(-1))


def _kind(value: Any) -> str:
    """The type of a value, and what else is worth knowing of an array."""
    return f"ndarray of {value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def _space(env: gym.Env[Any, Any], name: str) -> gym.Space[Any]:
    space = getattr(env, name, None)
    if not isinstance(space, gym.Space):
        raise TypeError(f"its {name} is {'missing' if space is None else _kind(space)}, expected a gymnasium.Space")
    return space


def check_finite(env: str, step: int, observation: np.ndarray, reward: np.ndarray) -> None:
    """Raises LabError: what a batch of environments shows (N, O) or earns (N,) in a step is not finite."""
    if not np.isfinite(reward).all():
        row = int(np.flatnonzero(~np.isfinite(reward))[0])
        raise LabError(f"environment {env} failed at step {step}: the reward of environment {row} is {reward[row]}")
    if observation.dtype.kind == "f" and not np.isfinite(observation).all():
        row, column = np.argwhere(~np.isfinite(observation))[0]
        found = f"column {column} of the observation of environment {row} is {observation[row, column]}"
        raise LabError(f"environment {env} failed at step {step}: {found}")
