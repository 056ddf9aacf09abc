"""Launchers of jobs, and the one for this machine: persistent worker processes, replaced when they crash."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import IO, Any, Protocol

from lab.stages import Progress
from lab.study.work.job import Job, JobResult

TRAIN = "lab.study.work.job:train"
STOP_SECONDS = 90.0  # how long a worker may take to save and leave


@dataclass(frozen=True)
class Started:
    """The job's run has an id."""

    key: tuple[int, int]
    run_id: str


@dataclass(frozen=True)
class Progressed:
    """The job tells its stage, or how far its training is."""

    key: tuple[int, int]
    now: str | Progress


@dataclass(frozen=True)
class Validated:
    """The job reports a validation, and waits for `answer`."""

    key: tuple[int, int]
    position: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Ended:
    """The job is over."""

    key: tuple[int, int]
    result: JobResult


@dataclass(frozen=True)
class Crashed:
    """The job's process ended without a result."""

    key: tuple[int, int]
    reason: str


Event = Started | Progressed | Validated | Ended | Crashed


class Launcher(Protocol):
    """Runs jobs: on processes of this machine, or on a cluster."""

    @property
    def idle(self) -> int:
        """The number of jobs that can be started now."""

    def start(self, job: Job) -> None:
        """Starts a job."""

    def events(self, timeout: float) -> list[Event]:
        """The events since the last call, in order; waits at most `timeout` seconds for the first."""

    def answer(self, key: tuple[int, int], prune: bool) -> None:
        """Lets a job that reported a validation go on, or end."""

    def stop(self) -> list[Event]:
        """Asks every job to save and end, waits for them, and returns the events meanwhile."""

    def close(self) -> None:
        """Ends everything that is left."""


class LocalLauncher:
    """Worker processes on this machine.

    Args:
        count: how many.
        log_folder: where each writes what libraries print.
        work: the function that does a job, as `package.module:name`.
        gpus: if any, each worker sees one of them.
    """

    def __init__(self, count: int, log_folder: Path, work: str = TRAIN, gpus: int = 0) -> None:
        log_folder.mkdir(parents=True, exist_ok=True)
        self.work, self.log_folder, self.gpus = work, log_folder, gpus
        self.workers = [self._new(place) for place in range(count)]

    @property
    def idle(self) -> int:
        return sum(worker.job is None for worker in self.workers)

    def start(self, job: Job) -> None:
        worker = next(worker for worker in self.workers if worker.job is None)
        worker.job = job
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died idle; `events` finds out and says so
            worker.connection.send(job)

    def events(self, timeout: float) -> list[Event]:
        by_connection: dict[Any, _Worker] = {worker.connection: worker for worker in self.workers}
        return [event for ready in wait(list(by_connection), timeout) for event in self._read(by_connection[ready])]

    def answer(self, key: tuple[int, int], prune: bool) -> None:
        for worker in self.workers:
            if worker.job is not None and worker.job.key == key:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    worker.connection.send(prune)

    def stop(self) -> list[Event]:
        events: list[Event] = []
        for worker in self.workers:
            worker.signal(signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        while any(worker.job is not None for worker in self.workers) and time.monotonic() < until:
            for connection in wait([worker.connection for worker in self.workers if worker.job], 1.0):
                worker = next(worker for worker in self.workers if worker.connection is connection)
                for event in self._read(worker, replace=False):
                    events.append(event)
                    if isinstance(event, Validated):  # it has to go on to be able to stop
                        worker.connection.send(False)
        return events

    def close(self) -> None:
        for worker in self.workers:
            worker.signal(signal.SIGTERM)
            worker.connection.close()
        for worker in self.workers:
            try:
                worker.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                worker.signal(signal.SIGKILL)
                worker.process.wait()
            worker.log.close()

    def _read(self, worker: _Worker, replace: bool = True) -> Iterator[Event]:
        """The event that a worker sent; a worker that has died is replaced."""
        try:
            kind, *rest = worker.connection.recv()
        except (EOFError, OSError):
            job, reason = worker.job, worker.exit_reason()
            worker.job = None
            if replace:
                self.workers[self.workers.index(worker)] = self._new(worker.place)
            if job is not None:
                yield Crashed(job.key, reason)
            elif replace and not worker.ready:
                raise RuntimeError(f"a worker cannot be started: {reason}") from None
            return
        if kind == "ready":
            worker.ready = True
            return
        assert worker.job is not None
        key = worker.job.key
        if kind == "started":
            yield Started(key, *rest)
        elif kind == "progressed":
            yield Progressed(key, *rest)
        elif kind == "validated":
            yield Validated(key, *rest)
        else:
            worker.job = None
            yield Ended(key, *rest)

    def _new(self, place: int) -> _Worker:
        ours, theirs = socket.socketpair()
        log = (self.log_folder / f"worker-{place}.log").open("ab")
        environment = dict(os.environ)
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = str(place % self.gpus)
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.study.work.worker", str(theirs.fileno()), self.work],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the one who gives the jobs, who then asks the workers to stop
        )
        theirs.close()
        return _Worker(place, process, Connection(ours.detach()), log)


@dataclass
class _Worker:
    """A worker process and its current job."""

    place: int
    process: subprocess.Popen[bytes]
    connection: Connection
    log: IO[bytes]
    job: Job | None = None
    ready: bool = False

    def signal(self, signum: int) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signum)

    def exit_reason(self) -> str:
        """The reason why the process ended, in words."""
        try:
            code = self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.connection.close()
        self.log.close()
        cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        return f"its process ended by {cause}{hint}; see {self.log.name}"
