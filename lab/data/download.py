"""Downloads of datasets: only on request, with checksums, and complete or not at all."""

from __future__ import annotations

import hashlib
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.data.cache import root
from lab.errors import LabError

BLOCK = 1 << 20  # bytes read at once
TIMEOUT = 60  # seconds without an answer
FAILURES = (OSError, RuntimeError, EOFError, tarfile.TarError, zipfile.BadZipFile)


def fetch_into(name: str, fill: Callable[[Path], Any]) -> Path:
    """The folder `NAME` in `root()`, filled by `fill` if it is not there yet.

    What is not finished lies in `.NAME.part`, and is called `NAME` only when it is whole.

    >>> folder = fetch_into("greeting", lambda part: (part / "hello.txt").write_text("hello"))
    >>> [file.name for file in folder.iterdir()]
    ['hello.txt']

    Args:
        name: name of the dataset, as listed by `lab data ls`.
        fill: downloads and unpacks everything into the folder that it is given.

    Raises:
        LabError: there is no network, no room, or a checksum is another one.
    """
    home, part = root() / name, root() / f".{name}.part"
    if home.exists():
        return home
    try:
        part.mkdir(parents=True, exist_ok=True)
        fill(part)
        part.replace(home)
    except FAILURES as error:
        words = f"{name} is not in {root()} and cannot be downloaded ({' '.join(str(error).split())})"
        raise LabError(f"{words}; with an internet connection run: lab data fetch {name}") from None
    return home


def download_file(url: str, file: Path, sha256: str) -> None:
    """One file, with a line of progress on standard error; nothing happens where it is there and passes the check.

    >>> file = root() / "hello.txt"
    >>> download_file("data:,hello", file, hashlib.sha256(b"hello").hexdigest())
    >>> file.read_text()
    'hello'

    Args:
        url: where it is from.
        file: where it goes.
        sha256: of its content, as hexadecimal digits.

    Raises:
        OSError: it cannot be had, or its content is another one; then there is no file.
    """
    if file.exists() and _digest(file) == sha256:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    try:
        digest = hashlib.sha256()
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, part.open("wb") as written:
            total, done = int(answer.headers.get("Content-Length") or 0), 0
            while block := answer.read(BLOCK):
                written.write(block)
                digest.update(block)
                done += len(block)
                _report(file.name, done, total)
        if digest.hexdigest() != sha256:
            raise OSError(f"{url} has the checksum {digest.hexdigest()}, expected {sha256}")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _report(name: str, done: int, total: int) -> None:
    """Nothing where standard error is no terminal, whose log would be full of it."""
    if sys.stderr.isatty():
        share = f" of {total / 1e6:,.0f} MB, {done / total:.0%}" if total else " MB"
        end = "\n" if done == total else ""
        print(f"\r{name}: {done / 1e6:,.0f}{share}", end=end, file=sys.stderr, flush=True)
