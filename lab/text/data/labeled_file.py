"""CSV files of texts and their labels: read as they are, or refused in one line that names the file and the row."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from lab.data import read_csv
from lab.errors import BadSetting

TEXT, LABEL = "text", "label"
LEAST = 3  # texts of a class: one to train, one to validate and one to test with


class LabeledTexts(NamedTuple):
    """
    Args:
        texts: one for each row.
        labels: of the same length.
    """

    texts: list[str]
    labels: list[str]


def read_labeled(path: Path) -> LabeledTexts:
    """The columns `text` and `label` of a file whose first row names its columns; further columns are left out.

    >>> from lab.data import root
    >>> root().mkdir(exist_ok=True)
    >>> path = root() / "reviews.csv"
    >>> _ = path.write_text("text,label\\n" + "good soup,positive\\nstale bread,negative\\n" * 5)
    >>> read_labeled(path).labels[:2]
    ['positive', 'negative']

    Raises:
        BadSetting: the file cannot be read, lacks a column, has a row without text or label, fewer than two classes, or
            a class with too few texts.
    """
    file = read_csv(path, comment="")  # a text may begin with any character
    if missing := [name for name in (TEXT, LABEL) if name not in file.names]:
        raise BadSetting("path", f"{path}: no column {missing[0]!r} in the first row; it has {', '.join(file.names)}")
    columns = [file.names.index(name) for name in (TEXT, LABEL)]
    for line, row in zip(file.lines, file.rows, strict=True):
        if empty := [file.names[at] for at in columns if not row[at].strip()]:
            raise BadSetting("path", f"{path}:{line}: column {empty[0]} is empty; leave the row out")
    texts, labels = ([row[at].strip() for row in file.rows] for at in columns)
    counts = Counter(labels)
    if len(counts) < 2:
        raise BadSetting("path", f"{path}: all texts have the label {labels[0]!r}; two classes are needed")
    rarest, count = min(counts.items(), key=lambda item: item[1])
    if count < LEAST:
        raise BadSetting("path", f"{path}: {count} texts with the label {rarest!r}; {LEAST} are needed of each class")
    return LabeledTexts(texts, labels)
