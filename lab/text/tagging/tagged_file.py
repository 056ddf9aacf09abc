"""Files of tagged sentences in the format of the CoNLL tasks: a word and its tags in each line, blank lines between."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lab.data import read_lines
from lab.errors import BadSetting

DOCUMENT = "-DOCSTART-"  # such a line separates documents


class TaggedSentences(NamedTuple):
    """
    Args:
        words: of each sentence.
        tags: one for each word.
        lines: where each sentence begins in the file, from 1.
    """

    words: list[list[str]]
    tags: list[list[str]]
    lines: list[int]


def read_tagged(path: Path, column: int | None = None) -> TaggedSentences:
    """The sentences of a file whose columns are separated by blanks.

    >>> from lab.data import root
    >>> root().mkdir(exist_ok=True)
    >>> path = root() / "train.txt"
    >>> _ = path.write_text("-DOCSTART- -X- O O\\n\\nEU NNP I-NP I-ORG\\nrejects VBZ I-VP O\\n\\nPeter NNP I-NP I-PER")
    >>> read_tagged(path)
    TaggedSentences(words=[['EU', 'rejects'], ['Peter']], tags=[['I-ORG', 'O'], ['I-PER']], lines=[3, 6])

    Args:
        path: of the file.
        column: of the tags, from 2; the last one by default.

    Raises:
        BadSetting: it cannot be read, has no sentence, no such column, or lines with other numbers of columns.
    """
    found = TaggedSentences([], [], [])
    columns, inside = 0, False
    for number, line in enumerate(read_lines(path), 1):
        cells = line.split()
        if not cells or cells[0] == DOCUMENT:
            inside = False
            continue
        columns = columns or len(cells)
        if len(cells) != columns or columns < 2:
            wanted = f"{columns} columns as above" if columns >= 2 else "a word and its tags"
            raise BadSetting("path", f"{path}:{number}: expected {wanted}, found {line.strip()[:40]!r}")
        if column is not None and column > columns:
            raise BadSetting("column", f"{path} has {columns} columns")
        if not inside:
            for several in (found.words, found.tags):
                several.append([])
            found.lines.append(number)
        inside = True
        found.words[-1].append(cells[0])
        found.tags[-1].append(cells[(column or columns) - 1])
    if not found.words:
        raise BadSetting("path", f"{path} has no tagged words")
    return found
