"""Files of torch and of others, whole and forged, for what reads checkpoints."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import torch


class Planted:
    """Makes a file by a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def written(value: Any, **how: Any) -> bytes:
    """The file torch makes of a value."""
    buffer = io.BytesIO()
    torch.save(value, buffer, **how)
    return buffer.getvalue()


def records(raw: bytes) -> dict[str, bytes]:
    """The records of an archive by name."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(contents: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive whose checksums are right."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(raw: bytes) -> bytes:
    """torch's oldest format, or what looks like it from outside."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("pickle")
        info.size = len(raw)
        archive.addfile(info, io.BytesIO(raw))
    return buffer.getvalue()


def described(value: Any) -> Any:
    """A value as something that compares by kind and content."""
    if isinstance(value, torch.Tensor):
        bits = value.detach().contiguous().view(torch.uint8) if value.dim() else value.detach()
        return type(value), value.dtype, tuple(value.shape), value.requires_grad, bits.tolist()
    if isinstance(value, dict):
        return type(value), [(described(key), described(inner)) for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [described(inner) for inner in value]
    return type(value), repr(value)
