"""Environments that are stepped side by side: one after the other in this process, or in processes of their own.

Measured by `python -m benchmarks --only stepping`. Both ways play the same episodes to the last bit. A vectorised
environment of Gymnasium's is no third way: `SyncVectorEnv` takes longer than this loop, and what computes a whole batch
at once (CartPole has such a form) starts an episode anew with a step in which nothing is learnt and whose action is
lost, without a way to say otherwise.
"""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from multiprocessing import connection, get_context, util
from typing import Any, Literal, NamedTuple, Protocol

import gymnasium as gym
import numpy as np

from lab.errors import BadSetting, LabError
from lab.rl.envs import environment
from lab.rl.envs import snapshot as simulator
from lab.rl.envs.environment import Box, Discrete

Way = Literal["loop", "processes"]
PATIENCE = 5.0  # seconds that a process has for its last step


class Board(NamedTuple):
    """What environments are told and what they show, a row for each of N.

    Args:
        command: actions (N, A), or (N,) of discrete ones.
        observation: what an environment shows now (N, O): where an episode ended, the start of the next one.
        successor: where the last step led (N, O), also where it ended the episode.
        reward: of the last step (N,).
        terminated: whether it ended the episode for good (N,).
        done: whether it ended the episode (N,).
    """

    command: np.ndarray
    observation: np.ndarray
    successor: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    done: np.ndarray

    def rows(self, chosen: slice) -> Board:
        """The same memory, but only some of the environments."""
        return Board(*(column[chosen] for column in self))


class Stepping(Protocol):
    """N environments; a step takes its actions from `board` and leaves there what came of them."""

    board: Board

    def reset(self, seeds: Sequence[int | None]) -> None:
        """Starts an episode everywhere."""

    def step(self) -> None:
        """One step everywhere, and a new episode where one ended."""

    def snapshot(self) -> list[dict[str, Any]]:
        """For every environment what `restore` needs to go on from here, besides its observation on the board."""

    def restore(self, saved: Sequence[dict[str, Any]], steps: int) -> list[str | None]:
        """For every environment why it begins a new episode, or None where it goes on in the old one.

        Args:
            saved: from `snapshot`.
            steps: how many each environment had made.
        """

    def close(self) -> None:
        """Ends it."""


class Loop:
    """In this process, one environment after the other.

    Args:
        env: name of the environment.
        episode_steps: time limit of an episode, if not the environment's own.
        board: as many rows as there are to be environments.
    """

    def __init__(self, env: str, episode_steps: int | None, board: Board) -> None:
        self.board = board
        self.guards = [
            environment.Guard(environment.make(env, max_episode_steps=episode_steps), env) for _ in board.reward
        ]

    def reset(self, seeds: Sequence[int | None]) -> None:
        for number, (guard, seed) in enumerate(zip(self.guards, seeds, strict=True)):
            self.board.observation[number], _ = guard.reset(seed=seed)

    def step(self) -> None:
        command, observation, successor, reward, terminated, done = self.board
        command = command.copy()  # an environment may keep its action, and the board is written again
        for number, guard in enumerate(self.guards):
            found, reward[number], over, cut, _ = guard.step(command[number])
            successor[number] = observation[number] = found
            terminated[number], done[number] = over, over or cut
            if over or cut:
                observation[number], _ = guard.reset()

    def snapshot(self) -> list[dict[str, Any]]:
        return [
            {"simulator": simulator.snapshot(guard), "generator": simulator.generator(guard)} for guard in self.guards
        ]

    def restore(self, saved: Sequence[dict[str, Any]], steps: int) -> list[str | None]:
        reasons: list[str | None] = []
        for number, (guard, state) in enumerate(zip(self.guards, saved, strict=True)):
            try:
                if state["simulator"] is None:
                    raise simulator.Mismatch("parts of it cannot be kept")
                simulator.restore(guard, state["simulator"])
                reasons.append(None)
            except simulator.Mismatch as reason:
                reasons.append(str(reason))
                simulator.set_generator(guard, state["generator"])
                guard.steps = steps
                self.board.observation[number], _ = guard.reset()
        return reasons

    def close(self) -> None:
        for guard in self.guards:
            guard.close()


class Processes:
    """In processes of their own, at most one per core, each of which loops over its share.

    The board is memory that all of them see; what goes through the pipes are orders, snapshots and errors. Processes
    come from a server that has no threads, so nothing of this process is copied in mid-air. Signals are none of their
    business: they end with their pipe, and that ends with this process, however it dies.

    Args:
        env: name of the environment.
        episode_steps: time limit of an episode, if not the environment's own.
        shapes: shape of a row and type of every column of the board.
        envs: how many environments.
    """

    def __init__(self, env: str, episode_steps: int | None, shapes: Sequence[Column], envs: int) -> None:
        self.env = env
        context: Any = get_context("forkserver")
        context.set_forkserver_preload([__name__])  # imported once, not in every process
        memory = [context.RawArray("b", envs * column.size) for column in shapes]
        self.board = _board(memory, shapes)
        workers = min(envs, cores())
        edges = [envs * number // workers for number in range(workers + 1)]
        self.shares = [slice(*pair) for pair in pairwise(edges)]
        self.pipes, self.processes = [], []
        for share in self.shares:
            near, far = context.Pipe()
            work = (far, gym.spec(env), env, episode_steps, memory, shapes, share)
            self.processes.append(context.Process(target=_serve, args=work, daemon=True))
            self.processes[-1].start()
            far.close()
            self.pipes.append(near)
        # also where nobody calls `close`; at the exit it has to come before multiprocessing waits for its processes
        self.end = util.Finalize(self, _end, (self.pipes, self.processes), exitpriority=10)
        self._answers()

    def reset(self, seeds: Sequence[int | None]) -> None:
        self._order("reset", lambda share: (seeds[share],))

    def step(self) -> None:
        self._order("step", lambda _: ())

    def snapshot(self) -> list[dict[str, Any]]:
        return [state for states in self._order("snapshot", lambda _: ()) for state in states]

    def restore(self, saved: Sequence[dict[str, Any]], steps: int) -> list[str | None]:
        reasons = self._order("restore", lambda share: (saved[share], steps))
        return [reason for some in reasons for reason in some]

    def close(self) -> None:
        self.end()

    def _order(self, what: str, arguments: Callable[[slice], tuple[Any, ...]]) -> list[Any]:
        for pipe, share in zip(self.pipes, self.shares, strict=True):
            with suppress(OSError):  # it is dead: the answer says so
                pipe.send_bytes(pickle.dumps((what, arguments(share))))
        return self._answers()

    def _answers(self) -> list[Any]:
        """One from each, before the first error is raised: a process that is waited for later is in step again."""
        found, errors = [], []
        for pipe, process in zip(self.pipes, self.processes, strict=True):
            try:
                answer, error, trace = pickle.loads(pipe.recv_bytes())
            except (EOFError, OSError):
                process.join(PATIENCE)
                error, trace = f"environment {self.env} failed: its process ended with code {process.exitcode}", ""
                answer = None
            found.append(answer)
            errors += [(error, trace)] if error else []
        if errors:
            problem = LabError(errors[0][0])
            problem.add_note(errors[0][1])
            raise problem
        return found


class Column(NamedTuple):
    """A column of the board: the shape of one row, and its type."""

    shape: tuple[int, ...]
    type: str

    @property
    def size(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape, dtype=int)) * np.dtype(self.type).itemsize


def stepped(way: Way, env: str, envs: int, episode_steps: int | None) -> Stepping:
    """`envs` environments that are stepped that way; they wait for their first `reset`."""
    facts = environment.describe(env)
    action: Box | Discrete = facts["action"]
    command = Column((len(action["low"]),), "f4") if "low" in action else Column((), "i8")
    observation = Column((facts["observation_size"],), "f4")
    shapes = [command, observation, observation, Column((), "f8"), Column((), "?"), Column((), "?")]
    if way == "processes":
        return Processes(env, episode_steps, shapes, envs)
    return Loop(env, episode_steps, _board([bytearray(envs * column.size) for column in shapes], shapes))


def check_way(way: Way, envs: int) -> None:
    """Raises BadSetting: processes would have nothing to share among them, or no cores to run on."""
    if way == "processes" and min(envs, cores()) < 2:
        lack = f"data.envs is {envs}" if envs < 2 else "this machine has one core"
        raise BadSetting("stepping", f"processes need at least 2 environments and 2 cores, and {lack}; take loop")


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _board(memory: Sequence[Any], shapes: Sequence[Column]) -> Board:
    return Board(
        *(
            np.frombuffer(raw, column.type).reshape(-1, *column.shape)
            for raw, column in zip(memory, shapes, strict=True)
        )
    )


def _serve(
    pipe: connection.Connection,
    spec: Any,
    env: str,
    episode_steps: int | None,
    memory: Sequence[Any],
    shapes: Sequence[Column],
    share: slice,
) -> None:
    """What a process does: first it makes its environments, then what it is told, until nobody is there to tell."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)  # they are meant for the run, which may want to save first
    gym.registry.setdefault(spec.id, spec)  # this process may know fewer environments
    loop, *failed = _attempt(lambda: Loop(env, episode_steps, _board(memory, shapes).rows(share)))
    answer = (None, *failed)
    with suppress(EOFError, OSError):
        while True:
            pipe.send_bytes(pickle.dumps(answer))
            what, arguments = pickle.loads(pipe.recv_bytes())
            answer = _attempt(getattr(loop, what), *arguments)


def _attempt(do: Callable[..., Any], *arguments: Any) -> tuple[Any, str, str]:
    """What it returns, or the error and where it came from."""
    try:
        return do(*arguments), "", ""
    except Exception as error:
        return None, str(error) or type(error).__name__, traceback.format_exc()


def _end(pipes: Sequence[Any], processes: Sequence[Any]) -> None:
    for pipe in pipes:
        pipe.close()
    for process in processes:
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
