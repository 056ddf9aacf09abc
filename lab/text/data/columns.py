"""Texts as a column of a table: rows of UTF-8 bytes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from lab.data import Ragged


def to_column(texts: Sequence[str]) -> Ragged:
    """Texts -> rows of bytes, uint8.

    >>> to_column(["a", "bc"]).lengths
    tensor([1, 2])
    """
    encoded = [text.encode() for text in texts]
    lengths = torch.tensor([len(text) for text in encoded], dtype=torch.int64)
    content = torch.frombuffer(bytearray(b"".join(encoded) or b"\0"), dtype=torch.uint8)[: int(lengths.sum())]
    return Ragged(content, torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))


def to_texts(column: Ragged) -> list[str]:
    """Rows of bytes -> texts.

    >>> to_texts(to_column(["a", "", "ü"]))
    ['a', '', 'ü']
    """
    content, ends = bytes(column.values.cpu().numpy()), column.offsets.tolist()
    return [content[begin:end].decode() for begin, end in pairwise(ends)]


def to_labels(labels: Sequence[int]) -> Tensor:
    """Numbers of classes, (N,) int64."""
    return torch.tensor(labels, dtype=torch.int64)
