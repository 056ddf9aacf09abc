"""Atomic writing and checked reading of files; loading never runs code."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import textwrap
import zipfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import IO, Any

from lab.errors import LabError

# torch would read it, but in a forged file it can ask for any amount of memory
_GREEDY = re.compile(rb"c(?:__builtin__|builtins)\nbytearray\n")
_FOLDER = 0x10  # in the attributes of a zip record


class Corrupt(LabError):
    """A file is truncated, damaged, or of another kind."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Opens a temporary file that replaces `path` when the block ends without an error.

    Raises:
        OSError: it cannot be written; what was at `path` before is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")  # one that a killed process left is overwritten
    try:
        with draft.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def save(value: Any, path: Path) -> None:
    """Writes tensors and plain values with `torch.save`, atomically.

    Raises:
        OSError: the disk is full, or the folder cannot be written; what was at `path` before is still there.
        LabError: the value holds something that `load` would refuse; likewise.
    """
    import torch

    with replacing(path) as file:
        try:
            torch.save(value, file)
        except RuntimeError as error:  # torch's writer hides why a write failed
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise LabError(f"{path} is not written: {' '.join(str(error).split())}") from None
        if refused := _refused(file):
            raise LabError(f"{path} is not written, because it could not be read back: {refused}")


def unused(folder: Path, stem: str) -> str:
    """The first of the names `stem.pt`, `stem-1.pt` and so on that no file in a folder has.

    What is there may be needed by a checkpoint, or was left by a process that died; it is neither used nor changed.

    >>> unused(Path("nowhere"), "replay-0-100")
    'replay-0-100.pt'
    """
    names = (f"{stem}{f'-{again}' if again else ''}.pt" for again in count())
    return next(name for name in names if not (folder / name).exists())


def check(path: Path) -> None:
    """Reads the whole file and compares its checksums.

    Raises:
        Corrupt: the file is cut short, changed, or not one that `save` wrote.
        FileNotFoundError: it is missing.
    """
    with _explained(path), path.open("rb") as file:
        _check(file)


def load(path: Path, map_location: Any = "cpu") -> Any:
    """Loads what `save` wrote, after a `check`.

    Raises:
        Corrupt: the file does not pass the check, or holds anything but tensors and plain values.
        FileNotFoundError: it is missing.
    """
    import torch

    with _explained(path), path.open("rb") as file:  # what is checked is what is read, also if `path` is replaced
        _check(file)
        if refused := _refused(file):
            raise ValueError(refused)
        file.seek(0)
        try:
            return torch.load(file, map_location=map_location, weights_only=True)
        finally:  # torch forgets these only after success, and would blame the next file for them
            torch._utils._sparse_tensors_to_validate.clear()


def _check(file: IO[bytes]) -> None:
    """Compares the CRC-32 of every record: torch writes them and does not look at them.

    Whatever else a zip archive may be is refused as well, because torch would read it in another way than Python does,
    or because its size says nothing about the size of what is in it.
    """
    if file.read(4) != b"PK\3\4":
        raise ValueError("it is not a file of torch.save")  # which torch might take for one of its older formats
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
        if len({record.filename.lower() for record in records}) < len(records):
            raise ValueError("two of its records have the same name")
        if any(record.is_dir() or record.external_attr & _FOLDER for record in records):
            raise ValueError("a record is marked as a folder")  # torch would give whatever is in memory for its content
        if any(record.compress_type != zipfile.ZIP_STORED for record in records):
            raise ValueError("it is compressed")
        if sum(record.file_size for record in records) > os.fstat(file.fileno()).st_size:
            raise ValueError("its records overlap")
        for record in records:
            with archive.open(record) as content:
                while content.read(1 << 20):
                    pass


def _refused(file: IO[bytes]) -> str:
    """The reason why `load` would refuse a file that torch wrote; empty if it would not."""
    import torch

    file.seek(0)
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except pickle.UnpicklingError:
        return "it holds more than tensors and plain values"
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        if any(_GREEDY.search(archive.read(name)) for name in archive.namelist() if name.endswith("data.pkl")):
            names.append("bytearray")
    return f"it holds more than tensors and plain values: {', '.join(sorted(names))}" if names else ""


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError:
        raise Corrupt(f"{path} cannot be used: it holds more than tensors and plain values") from None
    except Exception as error:  # a damaged archive fails in many ways
        reason = textwrap.shorten(str(error), 200, placeholder=" ...") or type(error).__name__
        reason = reason if reason.isprintable() else ascii(reason)  # a part of the file may be quoted
        raise Corrupt(f"{path} cannot be used: {reason}") from None


def _sync(folder: Path) -> None:
    """Makes a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
