"""Environments that compute as one batch: Gymnasium's vector entry points, such as CartPole's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from lab.errors import BadSetting
from lab.rl.envs.checked import check_finite, failure
from lab.rl.envs.entry_point import find_spec
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.spaces import ActionSpec
from lab.rl.envs.state import snapshot
from lab.rl.envs.state.plain import Mismatch
from lab.rl.envs.stepping import StepBuffers


class VectorStepper:
    """Steps a vector environment that begins an episode in the step after the end of the one before.

    In that step the action is lost; it has no reward and ends nothing, and `skips` tells the collector to leave it out.

    Args:
        factory: names the environment.
        action: what it is given.
        buffers: as many rows as there are to be environments.

    Raises:
        BadSetting: the environment has no vector entry point, or one that this cannot step.
    """

    skips = True

    def __init__(self, factory: EnvFactory, action: ActionSpec, buffers: StepBuffers) -> None:
        self.env, self.action, self.buffers, self.steps = factory.env, action, buffers, 0
        check_vector(factory)
        settings: dict[str, Any] = dict(factory.env_kwargs)
        if factory.episode_steps:
            settings["max_episode_steps"] = factory.episode_steps
        self.made: Any = gym.make_vec(find_spec(self.env).id, len(buffers.reward), "vector_entry_point", **settings)
        space: Any = self.made.single_action_space
        self.first_action = getattr(space, "start", None)  # of discrete ones
        self.bounds = (space.low, space.high) if self.first_action is None else None
        mode = self.made.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        if mode != AutoresetMode.NEXT_STEP or "values" in action:
            why = "gets bins for its action" if "values" in action else f"has autoreset mode {mode.value}"
            raise BadSetting("vectorization", f"{self.env!r} {why}, which vector cannot step; use sync")

    def reset(self, seeds: Sequence[int | None]) -> None:
        self._show(self.buffers.observation, self.made.reset(seed=seeds[0])[0])
        self.buffers.done[:] = False

    def step(self) -> None:
        action, observation, next_observation, reward, terminated, done = self.buffers
        self.steps += 1
        begins = done.copy()
        try:
            seen, reward[:], terminated[:], truncated, _ = self.made.step(self._action(action))
        except Exception as error:
            raise failure(self.env, f"at step {self.steps} of all {len(reward)}", error) from error
        self._show(next_observation, seen)
        np.logical_or(terminated, truncated, out=done)
        observation[:] = next_observation
        reward[begins], terminated[begins], done[begins] = 0.0, False, False

    def _action(self, action: np.ndarray) -> np.ndarray:
        """A copy inside the space."""
        sent: np.ndarray = action + self.first_action if self.bounds is None else np.clip(action, *self.bounds)
        return sent

    def _show(self, observation: np.ndarray, seen: np.ndarray) -> None:
        observation[:] = seen
        check_finite(self.env, self.steps, observation, self.buffers.reward)

    def snapshot(self) -> list[dict[str, Any]]:
        return [{"env": snapshot.take(self.made), "done": self.buffers.done.tolist()}]

    def restore(self, saved: Sequence[dict[str, Any]], steps: int) -> list[str | None]:
        (state,), self.steps = saved, steps
        try:
            snapshot.restore(self.made, state["env"])
        except Mismatch as reason:
            self.reset([None])
            return [str(reason)] * len(self.buffers.reward)
        self.buffers.done[:] = state["done"]
        return [None] * len(self.buffers.reward)

    def close(self) -> None:
        self.made.close()


def check_vector(factory: EnvFactory) -> None:
    """Raises BadSetting: the environment has no vector entry point, or there is something around it."""
    for key in ("wrappers", "frame_stack"):
        if getattr(factory, key):
            raise BadSetting("vectorization", f"vector cannot put data.{key} around an environment; use sync")
    facts = factory.facts()
    if not isinstance(facts["observation_size"], int) or "counts" in facts["action"]:
        raise BadSetting("vectorization", "vector takes vectors and one action alone; use sync")
    if find_spec(factory.env).vector_entry_point is None:
        raise BadSetting("vectorization", f"{factory.env!r} has no vector entry point; use sync")
