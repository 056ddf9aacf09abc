"""Environments that are stepped in processes of their own, and the choice between them and one process."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from multiprocessing import connection, get_context, util
from typing import Any

import gymnasium as gym

from lab.errors import BadSetting, LabError
from lab.rl.envs.entry_point import find_spec
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.pool.pool_env import is_pool
from lab.rl.envs.pool.pool_stepper import PoolStepper, check_pool
from lab.rl.envs.spaces import ActionSpec
from lab.rl.envs.stepping import ColumnSpec, Stepper, SyncStepper, Vectorization, column_specs, step_buffers
from lab.rl.envs.vector_stepper import VectorStepper, check_vector

TIMEOUT = 5.0  # seconds that a process has for its last step


def make_stepper(
    vectorization: Vectorization, factory: EnvFactory, num_envs: int, action: ActionSpec | None = None
) -> Stepper:
    """`num_envs` environments that wait for their first `reset`.

    >>> stepper = make_stepper("sync", EnvFactory("CartPole-v1"), num_envs=2)
    >>> stepper.reset([0, 1])
    >>> stepper.buffers.action[:] = 0, 1
    >>> stepper.step()
    >>> stepper.buffers.reward
    array([1., 1.])

    Args:
        vectorization: `sync` steps them in this process, `async` in several, `vector` as one batch, if the environment
            has a vector entry point. Those of EnvPool are one batch in any case.
        factory: makes the environments.
        num_envs: how many, from 1.
        action: what they are given, if not their own actions.
    """
    facts = factory.facts()
    action = action or facts["action"]
    columns = column_specs(facts | {"action": action})
    if vectorization == "async":
        return AsyncStepper(factory, action, columns, num_envs)
    buffers = step_buffers([bytearray(num_envs * column.size) for column in columns], columns)
    in_process = VectorStepper if vectorization == "vector" else SyncStepper
    return (PoolStepper if is_pool(factory.env) else in_process)(factory, action, buffers)


def check_vectorization(vectorization: Vectorization, num_envs: int) -> None:
    """Raises BadSetting: processes would have nothing to share among them, or no cores to run on."""
    if vectorization == "async" and min(num_envs, cores()) < 2:
        lack = f"data.num_envs is {num_envs}" if num_envs < 2 else "this machine has one core"
        raise BadSetting("vectorization", f"async needs at least 2 environments and 2 cores, and {lack}; use sync")


def check_around(vectorization: Vectorization, factory: EnvFactory) -> None:
    """Raises BadSetting: a batch of environments cannot have around each what the recipe puts around them."""
    if is_pool(factory.env):
        if vectorization != "sync":
            raise BadSetting("vectorization", "EnvPool steps its environments as one batch in any case; leave it out")
        check_pool(factory)
    elif vectorization == "vector":
        check_vector(factory)


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class AsyncStepper:
    """Steps environments in processes, at most one per core, each of which steps its share one after the other.

    The buffers are memory that all processes share; orders, snapshots and errors go through pipes. Processes come from
    a server without threads, so that nothing of this process is copied while it changes. They ignore signals: they end
    when their pipe closes, and that closes with this process, however it dies.

    Args:
        factory: makes the environments.
        action: what they are given.
        columns: of the buffers.
        num_envs: how many environments.
    """

    skips = False

    def __init__(self, factory: EnvFactory, action: ActionSpec, columns: Sequence[ColumnSpec], num_envs: int) -> None:
        self.env, self.action = factory.env, action
        spec = _sendable(self.env)
        _ = factory.seeds_resets  # asked once, before each process has its copy
        context: Any = get_context("forkserver")
        context.set_forkserver_preload([__name__])  # imported once, not in every process
        memory = [context.RawArray("b", num_envs * column.size) for column in columns]
        self.buffers = step_buffers(memory, columns)
        workers = min(num_envs, cores())
        edges = [num_envs * number // workers for number in range(workers + 1)]
        self.shares = [slice(*pair) for pair in pairwise(edges)]
        self.pipes, self.processes = [], []
        for share in self.shares:
            near, far = context.Pipe()
            work = (far, spec, factory, action, memory, columns, share)
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

    def _order(self, method: str, arguments: Callable[[slice], tuple[Any, ...]]) -> list[Any]:
        for pipe, share in zip(self.pipes, self.shares, strict=True):
            with suppress(OSError):  # the process is dead: its answer says so
                pipe.send_bytes(pickle.dumps((method, arguments(share))))
        return self._answers()

    def _answers(self) -> list[Any]:
        """One from each, before the first error is raised: no process may be an answer behind the others."""
        answers, errors = [], []
        for pipe, process in zip(self.pipes, self.processes, strict=True):
            try:
                answer, error, trace, key = pickle.loads(pipe.recv_bytes())
            except (EOFError, OSError):
                process.join(TIMEOUT)
                error, trace = f"environment {self.env} failed: its process ended with code {process.exitcode}", ""
                answer, key = None, ""
            answers.append(answer)
            errors += [(error, trace, key)] if error else []
        for error, trace, key in errors[:1]:
            problem = BadSetting(key, error) if key else LabError(error)
            problem.add_note(trace)
            raise problem
        return answers


def _sendable(env: str) -> Any:
    """The entry point that another process needs to create an environment; None where the name has a module.

    Raises:
        BadSetting: it was registered with a function that cannot be sent.
    """
    if ":" in env:
        return None
    spec = find_spec(env)
    try:
        pickle.dumps(spec)
    except Exception as error:
        needed = f"name its module (data.env=my_module:{env}), or use sync"
        raise BadSetting("vectorization", f"{env!r} cannot be sent to another process: {needed}") from error
    return spec


def _serve(
    pipe: connection.Connection,
    spec: Any,
    factory: EnvFactory,
    action: ActionSpec,
    memory: Sequence[Any],
    columns: Sequence[ColumnSpec],
    share: slice,
) -> None:
    """A process: makes its environments, then obeys orders until the pipe closes."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)  # they are meant for the run, which may want to save first
    if spec is not None:
        gym.registry.setdefault(spec.id, spec)  # this process may know fewer environments
    stepper, *error = _attempt(lambda: SyncStepper(factory, action, step_buffers(memory, columns).rows(share)))
    answer = (None, *error)
    with suppress(EOFError, OSError):
        while True:
            pipe.send_bytes(pickle.dumps(answer))
            method, arguments = pickle.loads(pipe.recv_bytes())
            answer = _attempt(getattr(stepper, method), *arguments)


def _attempt(do: Callable[..., Any], *arguments: Any) -> tuple[Any, str, str, str]:
    """The return value of the call, or the error, where it came from, and the setting that it refuses."""
    try:
        return do(*arguments), "", "", ""
    except BadSetting as error:
        return None, error.message, traceback.format_exc(), error.key
    except Exception as error:
        return None, str(error) or type(error).__name__, traceback.format_exc(), ""


def _end(pipes: Sequence[Any], processes: Sequence[Any]) -> None:
    for pipe in pipes:
        pipe.close()
    for process in processes:
        process.join(TIMEOUT)
        if process.is_alive():
            process.kill()
            process.join()
