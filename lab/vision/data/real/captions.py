"""A CSV file of your own: the name of a file, such as an image, and a sentence about it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lab.data import Table, check_count, read_csv
from lab.errors import BadSetting, nearest
from lab.vision.data.real import decode

WORDS = re.compile(r"\w+|[^\w\s]+")  # of a sentence in lower case, and its punctuation
LEAST = 10  # rows


class Captioned(NamedTuple):
    """
    Args:
        files: what the sentences are about.
        words: all words of the sentences; the first one, which is empty, fills up a sentence.
        captions: (N, T) places in `words`.
    """

    files: list[Path]
    words: tuple[str, ...]
    captions: Tensor


def read_captions(path: Path, column: str, endings: Sequence[str]) -> Captioned:
    """The rows of a CSV file, which names files beside it; they are not opened.

    Args:
        path: of the CSV file.
        column: with the names of the files; the sentences are in the column `caption`.
        endings: that the names may have.

    Raises:
        BadSetting: a column, a file or a sentence is missing, or a file has two sentences.
    """
    if path.is_dir():
        raise BadSetting("path", f"{path} is a folder; name the CSV file with the columns {column} and caption")
    table = read_csv(path, comment="")
    places = []
    for name in (column, "caption"):
        if name not in table.names:
            listed = f"{nearest(name, table.names)}; it has {', '.join(table.names)}"
            raise BadSetting("path", f"{path}: no column {name!r} in the first row{listed}")
        places.append(table.names.index(name))
    files, sentences = [], []
    for line, row in zip(table.lines, table.rows, strict=True):
        name, words = row[places[0]].strip(), WORDS.findall(row[places[1]].lower())
        file = path.parent / name
        if not words:
            raise BadSetting("path", f"{path}:{line}: the caption is empty; leave the row out")
        if not file.is_file():
            raise BadSetting("path", f"{path}:{line}: there is no file {file}")
        if file.suffix.lower() not in endings:
            raise BadSetting("path", f"{path}:{line}: {file} is no {column} ({', '.join(endings)})")
        files.append(file)
        sentences.append(words)
    if twice := [file for file, count in Counter(files).items() if count > 1]:
        raise BadSetting("path", f"{path}: two rows are of {twice[0]}; keep one caption for each {column}")
    check_count(path, len(files), "rows", LEAST)
    vocabulary = ("", *sorted({word for words in sentences for word in words}))
    place = {word: i for i, word in enumerate(vocabulary)}
    captions = torch.zeros(len(files), max(map(len, sentences)), dtype=torch.int64)
    for i, words in enumerate(sentences):
        captions[i, : len(words)] = torch.tensor([place[word] for word in words])
    return Captioned(files, vocabulary, captions)


def load(found: Captioned, size: int) -> Table:
    """The images, squeezed to `size` x `size`, each with its `caption`.

    Raises:
        BadInput: an image cannot be read.
        BadSetting: that many pixels do not fit in memory.
    """
    return Table({"image": decode.pictures(found.files, None, size), "caption": found.captions})
