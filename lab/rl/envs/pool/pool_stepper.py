"""EnvPool's environments as one batch, stepped by its threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import gymnasium as gym
import numpy as np

from lab.errors import BadSetting, LabError
from lab.keywords import keywords
from lab.rl.envs.checked import check_finite, failure
from lab.rl.envs.entry_point import find_spec
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.flattening import Unfit
from lab.rl.envs.pool.pool_env import SEEDS, TRAINING, make_pool, row
from lab.rl.envs.spaces import ActionSpec
from lab.rl.envs.state import snapshot
from lab.rl.envs.state.plain import pack_array, unpack_array
from lab.rl.envs.state.recording import MOST_STEPS
from lab.rl.envs.stepping import StepBuffers


class PoolStepper:
    """Steps a pool of EnvPool's, and resets those whose episode ended at once, so that no action is lost.

    Nothing inside a pool can be read, so a checkpoint has all actions since the training began, as far as they are few
    enough, and a resumed training plays them again.

    Args:
        factory: names the environment.
        action: what it is given: its own actions, or indices of evenly spaced values of these.
        buffers: as many rows as there are to be environments.

    Raises:
        BadSetting: there is something around the environment.
    """

    skips = False

    def __init__(self, factory: EnvFactory, action: ActionSpec, buffers: StepBuffers) -> None:
        check_pool(factory)
        self.env, self.action, self.buffers, self.steps = factory.env, action, buffers, 0
        one = factory.for_evaluation(1)[0]
        self.flattening, self.space = one.flattening, cast("Any", one.unwrapped.action_space)
        spec = find_spec(self.env)
        known, _ = keywords(cast("Any", spec.entry_point))
        self.name = spec.id
        self.settings = factory.env_kwargs | {key: value for key, value in TRAINING.items() if key in known}
        if factory.episode_steps:
            self.settings["max_episode_steps"] = factory.episode_steps
        self.values = np.array(action["values"]) if "values" in action else None
        self.pool: Any = None
        self.seed = 0
        self.actions: list[np.ndarray] | None = []  # since it began; None once they are too many

    def reset(self, seeds: Sequence[int | None]) -> None:
        self._begin(int(np.random.default_rng(seeds[0]).integers(SEEDS)))

    def _begin(self, seed: int) -> None:
        self.close()
        self.seed, self.actions = seed, []
        self.pool = make_pool(self.name, len(self.buffers.reward), seed, **self.settings)
        self._show(self.buffers.observation, *self.pool.reset())

    def step(self) -> None:
        action, observation, next_observation, reward, terminated, done = self.buffers
        self.steps += 1
        if self.actions is not None:
            self.actions.append(action.copy())
            if len(self.actions) * len(action) > MOST_STEPS:
                self.actions = None
        try:
            seen, earned, ended, truncated, info = self.pool.step(self._action(action))
            order = info["env_id"]
            reward[order], terminated[order], done[order] = earned, ended, ended | truncated
            self._show(next_observation, seen, info)
            observation[:] = next_observation
            if done.any():
                self._show(observation, *self.pool.reset(np.flatnonzero(done).astype(np.int32)))
        except LabError:
            raise
        except Exception as error:
            raise failure(self.env, f"at step {self.steps} of all {len(reward)}", error) from error

    def _action(self, action: np.ndarray) -> np.ndarray:
        """A copy inside the space, of its own type."""
        sent: np.ndarray = action if self.values is None else self.values[action]
        sent = sent.reshape(-1, *self.space.shape)
        if isinstance(self.space, gym.spaces.Box):
            sent = np.clip(sent, self.space.low, self.space.high)
            if self.space.dtype.kind in "iu":
                sent = np.rint(sent)
        else:  # choices are counted from 0 here
            sent = sent + getattr(self.space, "start", 0)
        return sent.astype(self.space.dtype)

    def _show(self, target: np.ndarray, seen: Any, info: Mapping[str, Any]) -> None:
        """Writes what some environments show into their rows."""
        order = info["env_id"]
        if self.flattening is None:
            target[order] = seen
        else:
            try:
                for place, number in enumerate(order):
                    target[number] = self.flattening(row(seen, place))
            except Unfit as error:
                raise LabError(f"environment {self.env} failed at step {self.steps}: {error}") from error
        check_finite(self.env, self.steps, target, self.buffers.reward)

    def snapshot(self) -> list[dict[str, Any]]:
        actions = None if self.actions is None else pack_array(np.array(self.actions))
        return [{"seed": self.seed, "actions": actions}]

    def restore(self, saved: Sequence[dict[str, Any]], steps: int) -> list[str | None]:
        (state,) = saved
        reached, reason = self.buffers.observation.copy(), None
        if state["actions"] is None:
            reason = f"{snapshot.UNREAD}, and more than {MOST_STEPS:,} steps are not played again"
        else:
            self._begin(state["seed"])
            for self.buffers.action[:] in unpack_array(state["actions"]):
                self.step()
            if not np.array_equal(reached, self.buffers.observation):
                reason = f"{snapshot.UNREAD}, and playing it again gave other observations"
        if reason is not None:
            self._begin(int(np.random.default_rng([state["seed"], steps]).integers(SEEDS)))
        self.steps = steps
        return [reason] * len(reached)

    def close(self) -> None:
        if self.pool is not None:
            self.pool.close()
            self.pool = None


def check_pool(factory: EnvFactory) -> None:
    """Raises BadSetting: there is something around the environment."""
    for key in ("wrappers", "frame_stack", "action_masks"):
        if getattr(factory, key):
            instead = "set env_kwargs.stack_num or .frame_stack" if key == "frame_stack" else "use Gymnasium's"
            raise BadSetting(key, f"cannot be put around the environments of EnvPool; {instead}")
