"""The operations of a run for its tracking server, in a file: appended in order, kept until they have been sent."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from lab.errors import BadInput

POINTS = 1000  # metrics in one operation, as MLflow takes them in one request
OWN_SERVER, OFFLINE_TARGET = "server", "later"  # cursors: of the run's server, and of the one an offline run is for

Point = tuple[str, float, int, int]  # key, value, milliseconds since 1970, step
Identity = tuple[str, int, str]  # of a metric's value: name, step, the value's digits
Operation = dict[
    str, Any
]  # `op` says what it is: start, params, metrics, tag, describe, artifact, dataset, model, resume or end

_locks: weakref.WeakSet[IO[bytes]] = weakref.WeakSet()


def _leave_to_the_parent() -> None:
    """A child that was forked, such as a loader's worker, must not hold the lock when its parent is gone."""
    for file in tuple(_locks):
        file.close()


os.register_at_fork(after_in_child=_leave_to_the_parent)


class RunInUse(BadInput):
    """Another process is working on the run."""


class Journal:
    """An append-only file of operations, one JSON line each, in the order they happened.

    One process at a time has it open. A last line that is torn, because the process was killed while it wrote, is cut
    off when the journal is opened. How far it has been sent is kept beside it, as a byte offset for every destination.
    NaN and infinity are written as Python's JSON has them.

    Args:
        folder: the run's own; made if missing.

    Raises:
        RunInUse: another process has it open.
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "journal.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder / "lock", run=folder.name)
        self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
        self.length = _whole(self._file)
        self.readers: set[str] = set()  # cursors of those who deliver it while the run lasts

    def append(self, *operations: Operation) -> None:
        """Writes them down; they survive this process, and after `sync` the machine.

        Raises:
            OSError: the disk is full; the journal is as it was.
        """
        data = memoryview(b"".join(json.dumps(operation).encode() + b"\n" for operation in operations))
        self._file.truncate(self.length)  # what an append that was interrupted left there
        self._file.seek(self.length)
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:]) or 0
        except OSError:
            self._file.truncate(self.length)
            raise
        self.length += written

    def sync(self) -> int:
        """Makes everything survive a power cut; returns the length in bytes."""
        length = self.length
        os.fsync(self._file.fileno())
        return length

    def read(self, start: int = 0) -> Iterator[tuple[Operation, int]]:
        """The operations from byte `start` on, each with the offset where the next one starts.

        A line that is none, as after a fault of the disk, is read as an operation of kind `unreadable`.
        """
        end = self.length
        with self.path.open("rb") as file:
            file.seek(start)
            while start < end:
                line = file.readline()
                start += len(line)
                yield _operation(line) or {"op": "unreadable"}, start

    def points(self, start: int = 0, end: int | None = None) -> Iterator[Point]:
        """The metrics from byte `start` on, and before byte `end`."""
        for operation, after in self.read(start):
            if end is not None and after > end:
                return
            yield from operation.get("metrics", ())

    def cursor(self, destination: str) -> int:
        """The offset that this destination has reached; if it is lost, all is sent again, which is harmless."""
        try:
            return min(int((self.folder / f"{destination}.cursor").read_text()), self.length)
        except (FileNotFoundError, ValueError):
            return 0

    def advance(self, destination: str, offset: int) -> None:
        """Remembers that this destination has everything before `offset`."""
        draft = self.folder / f".{destination}.cursor"
        draft.write_text(str(offset))
        draft.replace(self.folder / f"{destination}.cursor")

    def read_by_all(self, offset: int) -> bool:
        """Whether every reader has got so far."""
        return all(self.cursor(reader) >= offset for reader in self.readers)

    def waiting(self, destination: str) -> int:
        """Number of operations that this destination does not have yet."""
        start = self.cursor(destination)
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(self.length - start).count(b"\n")

    def ended(self) -> str | None:
        """The status that the run ended with; None while it goes on, or was killed."""
        status = None
        for operation, _ in self.read():
            if operation["op"] in ("end", "resume"):
                status = operation.get("status")
        return status

    def close(self) -> None:
        """Lets another process open it."""
        self._file.close()
        self._lock.close()

    def remove(self) -> None:
        """Closes and deletes it, with everything that belongs to it; what somebody else put there stays."""
        self.path.unlink(missing_ok=True)
        for file in (*self.folder.glob("*.cursor"), *self.folder.glob(".*.cursor"), self.folder / "lock"):
            file.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "model", ignore_errors=True)
        for folder in (*sorted(self.folder.glob("files/*")), self.folder / "files", self.folder):
            with contextlib.suppress(OSError):  # not empty: a file that the server refused
                folder.rmdir()
        self.close()


def _locked(path: Path, run: str) -> IO[bytes]:
    """The file at `path`, locked, with the number of this process in it."""
    file = path.open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        process = file.read().decode(errors="replace").strip()
        file.close()
        raise RunInUse(f"run {run[:8]} is still running (process {process or 'unknown'})") from None
    _locks.add(file)
    file.truncate(0)
    file.write(str(os.getpid()).encode())
    file.flush()
    return file


def _whole(file: IO[bytes]) -> int:
    """The length of the journal without a torn last line, which is cut off."""
    size = file.seek(0, os.SEEK_END)
    end, tail = size, b""
    while end > 0 and b"\n" not in tail:  # backwards, because a long run's journal is large
        end = max(0, end - 65536)
        file.seek(end)
        tail = file.read(size - end)
    whole = end + tail.rfind(b"\n") + 1
    file.truncate(whole)
    return whole


def _operation(line: bytes) -> Operation | None:
    with contextlib.suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, dict) and "op" in found:
            return found
    return None


def identity(point: Point) -> Identity:
    """The identity of a point when a resumed run logs it again, at another time; NaN equals NaN."""
    key, value, _, step = point
    return key, step, repr(value)


def history(points: Iterable[Point]) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of each metric, ascending; of several values at one step, the last one logged."""
    found: dict[str, dict[int, float]] = {}
    for key, value, _, step in points:
        found.setdefault(key, {})[step] = value
    return {key: sorted(values.items()) for key, values in found.items()}
