"""Processes of the command line that need not import the libraries, which takes each of them seconds of CPU time.

One process imports them and does nothing else; the others are forked from it. From there on each is what `python -m
lab` is, with a folder, variables, output, signals and steps at the exit of its own, and ends as that would. (The
forkserver of `multiprocessing` leaves the steps at the exit out, runs a script that has no `if __name__ == "__main__"`
a second time, and is one for the whole process: environments have theirs, with less in it.)
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lab.imports import take_twins
from lab.startup import defer

LIBRARIES = (  # and whatever these import
    "lab.rl.common.off_policy",
    "lab.runner.fit",
    "mlflow.pytorch",
    "mlflow.store.tracking.sqlalchemy_store",
    "torch.export._trace",
)


class Process:
    """`python -m MODULE WORDS` in a process of its own; to be asked what one asks a `subprocess.Popen`.

    Args:
        module: what is run, such as `lab`.
        words: its arguments.
        output: the file that it writes to.
        errors: the file for what it writes to standard error; by default the same.
        folder: where it runs; by default here.
        env: its variables; by default those of this process.
    """

    def __init__(
        self,
        module: str,
        words: Sequence[str],
        output: Path,
        errors: Path | None = None,
        folder: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        files = [str(file.absolute()) for file in (output, errors or output)]
        where = str((folder or Path()).absolute())
        self.returncode: int | None = None
        self.pid: int = _ask((module, list(words), files, where, dict(os.environ if env is None else env)))

    def poll(self) -> int | None:
        """The code it left with, the signal that ended it as a negative number, or None while it runs."""
        if self.returncode is None:
            self.returncode = _ask(self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Until it ended; raises TimeoutError when that takes longer than so many seconds."""
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"process {self.pid} still runs after {timeout} seconds")
            time.sleep(0.005)
        return code

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:  # as long as nobody was told that it ended, no other process has its number
            os.kill(self.pid, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _ask(question: Any) -> Any:
    server = _server()
    server.send(question)
    return server.recv()


@functools.cache
def _server() -> Connection:
    """The way to a process that has the libraries; it ends when this one does."""
    ours, theirs = socket.socketpair()
    with theirs:
        subprocess.Popen(
            [sys.executable, "-c", f"from lab.testing.processes import serve; serve({theirs.fileno()})"],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    return Connection(ours.detach())


def serve(descriptor: int) -> None:
    """Forks a process or says how one ended, whenever it is asked to; a process goes on from here to its module."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks
    defer()
    take_twins()
    for library in LIBRARIES:
        with suppress(ImportError):
            import_module(library)
    multiprocessing.set_start_method(None, force=True)  # torchrl chooses `spawn` for everybody when it is imported
    sys.stdout.flush()  # what libraries say to that is nobody's output
    from lab.engine.process import freeze_heap

    freeze_heap()  # else every process goes through all their objects again, at the latest when it ends
    connection = Connection(descriptor)
    while True:
        try:
            question = connection.recv()
        except (EOFError, OSError):  # nobody is there any more
            return
        if isinstance(question, int):
            pid, status = os.waitpid(question, os.WNOHANG)
            connection.send(os.waitstatus_to_exitcode(status) if pid else None)
        elif pid := os.fork():
            connection.send(pid)
        else:
            break
    connection.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module, words, files, folder, env = question
    for stream, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.path[1:1] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv[1:] = words
    runpy.run_module(module, run_name="__main__", alter_sys=True)
