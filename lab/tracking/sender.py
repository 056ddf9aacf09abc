"""A journal's way to its server: in order, once more after an uncertain answer, from a thread while the run lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from lab.sentences import note
from lab.tracking.journal import POINTS, Journal, Operation

RETRY_SECONDS = 0.5
MAX_SHARE = 0.005  # of the time that sending may take the interpreter from the training; SQLite needs 0.035 s each time
MAX_PAUSES = 5  # times the usual pause


class ServerUnavailable(Exception):
    """The destination cannot be reached, or is not well: this operation and all behind it wait."""


class Destination(Protocol):
    """Whoever a journal is delivered to; `uploading` while it is busy with files, which may take long."""

    @property
    def uploading(self) -> bool: ...

    def send(self, operations: Sequence[Operation]) -> bool:
        """Several `metrics`, or a single operation of another kind; returns whether all of it was accepted.

        Raises:
            ServerUnavailable: it must be offered again.
        """


def deliver(
    journal: Journal, destination: Destination, cursor: str, go_on: Callable[[int], bool] = lambda _: True
) -> int:
    """Sends what this destination does not have yet, in order; returns the number of operations.

    An operation is sent again if nobody knows whether it arrived. That is harmless: MLflow's databases ignore a metric
    with the same key, value, time and step, and everything else replaces what is there.

    Args:
        journal: what to send.
        destination: where to.
        cursor: the name under which the journal remembers how far the destination has got.
        go_on: asked before every request, with the number of operations sent so far.

    Raises:
        ServerUnavailable: the destination cannot be reached; the rest waits in the journal.
    """
    sent = 0
    for operations, end in _bundles(journal.read(journal.cursor(cursor))):
        if not go_on(sent):
            break
        accepted = destination.send(operations)
        journal.advance(cursor, end)
        sent += len(operations)
        file = Path(operations[0].get("file", "/"))
        if accepted and not file.is_absolute() and journal.read_by_all(end):  # a copy made for the journal
            (journal.folder / file).unlink(missing_ok=True)
    return sent


class Sender:
    """Delivers a journal from a thread of its own, so that nobody waits for the server.

    Args:
        journal: what to send.
        destination: the run on the server.
        cursor: the name under which the journal remembers how far it has got.
        seconds: pause between two deliveries, up to five times as long where they cost the training much.
    """

    def __init__(self, journal: Journal, destination: Destination, cursor: str, seconds: float) -> None:
        self._journal, self._destination, self._cursor, self._seconds = journal, destination, cursor, seconds
        self._ending, self._given_up = threading.Event(), threading.Event()
        self._moved = 0.0  # when something last went well, or the end began
        journal.readers.add(cursor)
        self._thread = threading.Thread(target=self._run, name="tracker-sender", daemon=True)
        self._thread.start()

    def finish(self, timeout: float) -> None:
        """Sends what is left, but waits no longer than `timeout` seconds for a server that does not answer."""
        self._moved = time.monotonic()
        self._ending.set()
        try:
            while self._thread.is_alive():
                self._thread.join(0.05)
                if not self._destination.uploading and time.monotonic() - self._moved > timeout:
                    break
        finally:  # also if somebody interrupts the waiting
            self._given_up.set()

    def _run(self) -> None:
        complained = False
        while not self._given_up.is_set():
            ending, begin = self._ending.is_set(), time.thread_time()
            try:
                deliver(self._journal, self._destination, self._cursor, self._go_on)
                complained = False
                if ending:
                    return
                self._ending.wait(pause(self._seconds, time.thread_time() - begin))
            except Exception as error:  # of any kind: the thread must live as long as the run
                if not complained and not self._given_up.is_set():
                    note(f"not sent: {error}; what the run records waits in {self._journal.folder}")
                complained = True
                (self._given_up.wait(RETRY_SECONDS) if ending else self._ending.wait(self._seconds))

    def _go_on(self, sent: int) -> bool:
        if sent:
            self._moved = time.monotonic()
        return not self._given_up.is_set()


def pause(usual: float, busy: float) -> float:
    """Seconds until the next delivery, after one that kept the interpreter busy for so many."""
    return min(max(usual, busy / MAX_SHARE), MAX_PAUSES * usual)


def _bundles(operations: Iterator[tuple[Operation, int]]) -> Iterator[tuple[list[Operation], int]]:
    """The operations of one request, with the offset behind it: neighbouring metrics together, all else alone."""
    bundle: list[Operation] = []
    points = end = 0
    for operation, after in operations:
        more = len(operation.get("metrics", ()))
        if bundle and not (points and more and points + more <= POINTS):
            yield bundle, end
            bundle, points = [], 0
        bundle.append(operation)
        points, end = points + more, after
    if bundle:
        yield bundle, end
