"""A worker process: imports everything once, then runs one job after another.

Started by `lab.study.work.launcher` as `python -m lab.study.work.worker FD WORK`, with its end of a socket as file
descriptor FD and the function for a job as `package.module:name`. It ends when the process at the other end
ends.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection

from lab.imports import load_object
from lab.stages import Progress
from lab.startup import defer, importing
from lab.study.work.job import Job, JobFunction
from lab.study.work.launcher import TRAIN

GRACE_SECONDS = 60.0  # to save and exit after the scheduler has ended


class PipeReporter:
    """The worker's end of the socket; a thread reads it, so that a signal to stop arrives in the middle of a training.

    Args:
        connection: the socket.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.sending = threading.Lock()  # a stage may be told by any thread
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def started(self, run_id: str) -> None:
        self.send("started", run_id)

    def progressed(self, now: str | Progress) -> None:
        self.send("progressed", now)

    def validated(self, position: int, metrics: Mapping[str, float]) -> bool:
        self.send("validated", position, dict(metrics))
        return self.answers.get()

    def send(self, *message: object) -> None:
        """Sends a message to the scheduler; its kind comes first."""
        with self.sending:
            self.connection.send(message)

    def _read(self) -> None:
        while True:
            try:
                message = self.connection.recv()
            except (EOFError, OSError):
                _shut_down()
                return
            if isinstance(message, Job):
                self.jobs.put(message)
            else:
                self.answers.put(bool(message))


def main(descriptor: int, work: str) -> None:
    """Does jobs until the process is stopped."""
    defer()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who gives the jobs
    reporter = PipeReporter(Connection(descriptor))
    do: JobFunction = load_object(work)
    if work == TRAIN:
        with importing():
            _warm_up()
    reporter.send("ready")
    while True:
        result = do(reporter.jobs.get(), reporter)
        reporter.send("ended", result)
        if result.status == "stopped":
            return


def _warm_up() -> None:
    """Imports what every training needs before the first job."""
    import lab.runner.assemble
    import lab.runner.fit
    import lab.runner.resume
    import lab.tracking.logger  # noqa: F401


def _shut_down() -> None:
    """The scheduler has ended: save and stop as on SIGTERM, and exit after GRACE_SECONDS in any case."""
    timer = threading.Timer(GRACE_SECONDS, os._exit, [1])
    timer.daemon = True
    timer.start()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), sys.argv[2])
    except BrokenPipeError:  # the other end is gone, and the job's result with it: the run itself is recorded
        os._exit(1)
