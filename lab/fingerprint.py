"""Fingerprints of data: a few plain values by which a data set that has changed is recognised.

Cheap rather than complete: of large files and large tensors a part is read, spread evenly over the whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

Fingerprint = dict[str, Any]  # plain values by what they say, such as {"files": 12, "contents": "3f09c1"}

MAX_FILES = 200_000  # of a folder are counted
READ_FILES = 1_000  # of them are read, spread evenly
READ_BYTES = 32 * 1024  # of a file, from its beginning and from its end
MAX_VALUES = 1 << 20  # of a tensor, spread evenly
LONGEST = 100  # characters of a value that is kept as it is; a longer one is hashed
HASH = "blake2b:"  # begins every hash
WORDS = {"csv", "dataset", "dir", "directory", "file", "filename", "files", "folder", "path", "paths", "root"}


def of_path(path: Path) -> Fingerprint:
    """Number and size of the files, and a hash of their names, sizes and contents; independent of where they lie.

    Times are left out: a copy of a data set is the same data set. Hidden files are, too.
    """
    found = list(_files(path))
    named = [(file.relative_to(path).as_posix() if file != path else "", file.stat().st_size) for file in found]
    digest = hashlib.blake2b(json.dumps(named).encode(), digest_size=8)
    for file in found[:: max(1, len(found) // READ_FILES)]:
        with file.open("rb") as stream:
            digest.update(stream.read(READ_BYTES))
            stream.seek(max(stream.tell(), file.stat().st_size - READ_BYTES))
            digest.update(stream.read(READ_BYTES))
    return {"files": len(found), "bytes": sum(size for _, size in named), "contents": _hash(digest)}


def of_settings(settings: Mapping[str, Any], section: str) -> dict[str, Fingerprint]:
    """The files and folders that settings name, by the settings' dotted names.

    A text counts as a path if it looks like one, or its key says so, and something is there. A folder in which the
    program itself runs is no data set.

    Args:
        settings: of a recipe, nested as they are.
        section: where they stand, such as `data`.
    """
    found = {}
    for key, word, value in texts(settings, section):
        looks = os.sep in value or bool(Path(value).suffix) or not WORDS.isdisjoint(word.lower().split("_"))
        path = Path(value).expanduser()
        try:
            there = looks and path.exists() and not Path.cwd().is_relative_to(path.resolve())
            if there:
                found[key] = of_path(path)
        except (OSError, ValueError):  # a name that is too long for a path, or a folder that may not be read
            continue
    return found


def of_plain(values: Mapping[str, Any]) -> Fingerprint:
    """The values that JSON can express; of a long one a hash."""
    found: Fingerprint = {}
    for name, value in values.items():
        try:
            text = json.dumps(value, sort_keys=True)
        except (TypeError, ValueError):
            continue
        short = hashlib.blake2b(text.encode(), digest_size=8)
        found[name] = json.loads(text) if len(text) <= LONGEST else _hash(short)
    return found


def of_rows(dataset: Any) -> Fingerprint:
    """The number of rows of a data set, and a hash of the numbers that it keeps in memory; reads no row.

    Args:
        dataset: any; looked at are tensors, arrays and lists of numbers among its attributes, and those of data sets
            in it.
    """
    found = Fingerprint()
    with contextlib.suppress(TypeError, NotImplementedError):  # of a stream
        found["rows"] = len(dataset)
    if (contents := of_value(dataset)) is not None:
        found["contents"] = contents
    return found


def of_value(value: Any) -> str | None:
    """A hash of the numbers that a value holds in memory, None if there are none."""
    digest = hashlib.blake2b(digest_size=8)
    return _hash(digest) if _add(digest, value, depth=6) else None


def differences(then: dict[str, Fingerprint], now: dict[str, Fingerprint]) -> list[str]:
    """A phrase for each part that differs, with what it is and what it was.

    >>> differences({"data.path": {"files": 10}}, {"data.path": {"files": 12}})
    ['data.path: files 12, was 10']
    """
    found = []
    for where in [*then, *(each for each in now if each not in then)]:
        if where not in now or where not in then:
            found.append(f"{where} {'is not there any more' if where not in now else 'was not there'}")
            continue
        old, new = then[where], now[where]
        changed = [
            name for name in [*old, *(each for each in new if each not in old)] if old.get(name) != new.get(name)
        ]
        plain = [name for name in changed if not str(new.get(name)).startswith(HASH)]
        told = [f"{name} {new.get(name)}, was {old.get(name)}" for name in plain]
        if changed:
            found.append(f"{where}: {', '.join(told or [f'other {name}' for name in changed])}")
    return found


def texts(value: Any, key: str, word: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text in nested settings: its dotted key, the last word of that which is a name, and the text."""
    if isinstance(value, str | os.PathLike):
        yield key, word, os.fspath(value)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from texts(inner, f"{key}.{name}", str(name))
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for i, inner in enumerate(value):
            yield from texts(inner, f"{key}.{i}", word)


def _hash(digest: Any) -> str:
    return f"{HASH}{digest.hexdigest()}"


def _files(path: Path) -> Iterator[Path]:
    """The file, or all files of the folder in the order of their names, links followed, hidden ones left out."""
    if not path.is_dir():
        yield path
        return
    seen: set[str] = set()
    count = 0
    for folder, folders, names in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        for name in sorted(names):
            file = Path(folder, name)
            if name.startswith(".") or not file.is_file():
                continue
            yield file
            count += 1
            if count == MAX_FILES:
                return


def _add(digest: Any, value: Any, depth: int) -> bool:
    """Adds the numbers in `value` to the digest; whether there were some."""
    import numpy as np
    import torch
    from torch.utils.data import Dataset

    if isinstance(value, torch.Tensor):
        value = value.detach()
        if value.layout != torch.strided or value.is_meta:
            return False
        picked = value.reshape(-1)[:: value.numel() // MAX_VALUES | 1].cpu().contiguous()  # odd: not always one column
        digest.update(f"{value.dtype} {tuple(value.shape)}".encode() + picked.view(torch.uint8).numpy().tobytes())
        return True
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return False
        picked = np.ascontiguousarray(value.reshape(-1)[:: value.size // MAX_VALUES | 1])
        digest.update(f"{value.dtype} {value.shape}".encode() + picked.tobytes())
        return True
    if depth == 0:
        return False
    if isinstance(value, list | tuple) and value and all(isinstance(each, int | float) for each in value):
        digest.update(f"{len(value)} {value[:: max(1, len(value) // MAX_VALUES)]}".encode())
        return True
    inner: Sequence[Any] = ()
    if isinstance(value, Mapping):
        inner = list(value.values())
    elif isinstance(value, list | tuple):
        inner = value[:: max(1, len(value) // READ_FILES)]
    elif hasattr(value, "to_numpy") and hasattr(value, "columns"):  # a frame of pandas
        inner = [value[column].to_numpy() for column in value.columns]
    elif isinstance(value, Dataset) or is_dataclass(value):
        inner = list(vars(value).values())
    added = [_add(digest, each, depth - 1) for each in inner]  # all, also behind the first that has some
    return any(added)
