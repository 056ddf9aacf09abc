"""Environments that are stepped side by side in this process, and how they are chosen.

Measured by `python -m benchmarks --only stepping`: `sync` here and `async` in `async_stepper.py` play the same episodes
to the last bit; Gymnasium's `SyncVectorEnv` is slower than this loop. `vector_stepper.py` steps environments that
compute as one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

import gymnasium as gym
import numpy as np

from lab.rl.envs.checked import CheckedEnv
from lab.rl.envs.discretize import DiscretizedAction
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.layers import atari
from lab.rl.envs.observations import Layout
from lab.rl.envs.spaces import ActionSpec
from lab.rl.envs.state import episode, snapshot
from lab.rl.envs.state.plain import Mismatch

Vectorization = Literal["sync", "async", "vector"]


class StepBuffers(NamedTuple):
    """Inputs and results of a step, one row for each of N environments.

    >>> columns = column_specs({"observation_size": 3, "action": {"low": [-2.0], "high": [2.0]}})
    >>> buffers = step_buffers([bytearray(4 * column.size) for column in columns], columns)
    >>> buffers.observation.shape, buffers.rows(slice(0, 2)).reward.shape
    ((4, 3), (2,))

    Args:
        action: actions (N, A), or (N,) of single discrete ones.
        observation: current observations (N, O): where an episode ended, the first one of the next episode.
        next_observation: where the last step led (N, O), also where it ended the episode.
        reward: of the last step (N,).
        terminated: whether it ended the episode for good (N,).
        done: whether it ended the episode (N,).
    """

    action: np.ndarray
    observation: np.ndarray
    next_observation: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    done: np.ndarray

    def rows(self, chosen: slice) -> StepBuffers:
        """The same memory, but only some of the environments."""
        return StepBuffers(*(column[chosen] for column in self))


class Stepper(Protocol):
    """N environments; a step takes its actions from `buffers` and leaves its results there.

    Args:
        env: name of the environment.
        action: what it takes.
        buffers: inputs and results of a step.
        skips: whether the step after the end of an episode only begins the next one, and its action is lost.
    """

    env: str
    action: ActionSpec
    buffers: StepBuffers
    skips: bool

    def reset(self, seeds: Sequence[int | None]) -> None:
        """Starts an episode everywhere."""

    def step(self) -> None:
        """One step everywhere, and a new episode where one ended."""

    def snapshot(self) -> list[dict[str, Any]]:
        """For every environment what `restore` needs to go on from here, besides its observation in the buffers."""

    def restore(self, saved: Sequence[dict[str, Any]], steps: int) -> list[str | None]:
        """For every environment why it begins a new episode, or None where it goes on in the old one.

        Args:
            saved: from `snapshot`.
            steps: how many each environment had made.
        """

    def close(self) -> None:
        """Closes all environments."""


class SyncStepper:
    """Steps environments in this process, one after the other.

    Args:
        factory: makes the environments.
        action: what they are given: their own actions, or indices of evenly spaced values of these.
        buffers: as many rows as there are to be environments.
    """

    skips = False

    def __init__(self, factory: EnvFactory, action: ActionSpec, buffers: StepBuffers) -> None:
        self.env, self.action, self.buffers, self.factory = factory.env, action, buffers, factory
        self.checked = [factory.for_training() for _ in buffers.reward]
        self.envs: list[gym.Env[Any, Any]] = [_with_wrappers(env, action) for env in self.checked]

    def reset(self, seeds: Sequence[int | None]) -> None:
        for number, (env, seed) in enumerate(zip(self.envs, seeds, strict=True)):
            self.buffers.observation[number], _ = env.reset(seed=seed)

    def step(self) -> None:
        action, observation, next_observation, reward, terminated, done = self.buffers
        for number, env in enumerate(self.envs):
            next_observation[number], reward[number], ended, truncated, _ = env.step(action[number])
            terminated[number], done[number] = ended, ended or truncated
        observation[:] = next_observation
        for number in done.nonzero()[0].tolist():
            observation[number], _ = self.envs[number].reset()

    def snapshot(self) -> list[dict[str, Any]]:
        return [{"env": episode.take(env), "generator": snapshot.generator(env)} for env in self.envs]

    def restore(self, saved: Sequence[dict[str, Any]], steps: int) -> list[str | None]:
        reasons: list[str | None] = []
        for number, state in enumerate(saved):
            if episode.starts_new(state["env"]):
                self.envs[number].close()  # first, since it may be the only one that can exist
                self.checked[number] = self.factory.for_training()
                self.envs[number] = _with_wrappers(self.checked[number], self.action)
            env = self.envs[number]
            try:
                episode.restore(env, state["env"])
                reasons.append(None)
            except Mismatch as reason:
                reasons.append(str(reason))
                snapshot.set_generator(env, state["generator"])
                self.checked[number].steps = steps
                self.buffers.observation[number], _ = env.reset()
        return reasons

    def close(self) -> None:
        for env in self.envs:
            env.close()


def _with_wrappers(env: CheckedEnv, action: ActionSpec) -> gym.Env[Any, Any]:
    made: gym.Env[Any, Any] = DiscretizedAction(env, action) if "values" in action else env
    return atari.for_training(made) if atari.is_game(env.name) else made


class ColumnSpec(NamedTuple):
    """One of the `StepBuffers`: the shape of a row, and its type."""

    shape: tuple[int, ...]
    type: str

    @property
    def size(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape, dtype=int)) * np.dtype(self.type).itemsize


def column_specs(facts: dict[str, Any]) -> list[ColumnSpec]:
    """Those of the `StepBuffers` of an environment, given its facts."""
    spec = facts["action"]
    action = ColumnSpec((len(spec["low"]),), "f4") if "low" in spec else ColumnSpec((), "i8")
    if "counts" in spec:
        action = ColumnSpec((len(spec["counts"]),), "i8")
    layout = Layout(facts["observation_size"])
    observation = ColumnSpec(layout.shape, layout.type)
    return [action, observation, observation, ColumnSpec((), "f8"), ColumnSpec((), "?"), ColumnSpec((), "?")]


def step_buffers(memory: Sequence[Any], columns: Sequence[ColumnSpec]) -> StepBuffers:
    """Buffers in `memory`, which has one piece for each column."""
    return StepBuffers(
        *(
            np.frombuffer(raw, column.type).reshape(-1, *column.shape)
            for raw, column in zip(memory, columns, strict=True)
        )
    )
