"""A real `mlflow server`, and a line to it that can be slow or dead."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

PATIENCE = 120  # seconds for a server to start


class Server:
    """`mlflow server` with a database and artifacts of its own, at one address for all its lives.

    Args:
        folder: where it keeps everything.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, _free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Returns when it answers."""
        store = ["--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        artifacts = ["--artifacts-destination", str(self.folder / "artifacts")]
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        with (self.folder / "log.txt").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *store, *artifacts, *address],
                cwd=self.folder,
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # ten processes that nobody asks
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.1)
        raise TimeoutError(f"mlflow server does not answer after {PATIENCE} s: {self.folder / 'log.txt'}")

    def kill(self) -> None:
        """Ends it and its workers at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


class Proxy:
    """A line to a server.

    Args:
        port: the server's.

    Attributes:
        delay: seconds that each answer takes.
        dead: no answer comes any more, and nobody hangs up.
    """

    def __init__(self, port: int) -> None:
        self.delay, self.dead = 0.0, False
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self.dead = False
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self._to)) as far:
            asked = threading.Event()
            threading.Thread(target=self._pass, args=(near, far, asked, True), daemon=True).start()
            self._pass(far, near, asked, False)

    def _pass(self, source: socket.socket, target: socket.socket, asked: threading.Event, question: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if question:
                    asked.set()
                elif asked.is_set():  # the first piece of an answer
                    asked.clear()
                    time.sleep(self.delay)
                    while self.dead:
                        time.sleep(0.05)
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
