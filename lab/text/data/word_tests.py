"""Files that say what is known of words: pairs with a similarity (WordSim-353) and analogies (questions-words)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.data import read_csv, read_lines, read_text
from lab.errors import BadSetting

Similarities = list[tuple[str, str, float]]
Analogies = dict[str, list[tuple[str, str, str, str]]]  # questions by their kind


def read_similarities(path: Path) -> Similarities:
    """Pairs of words with a number: the first three columns of a CSV or tab-separated file that names its columns.

    In SimLex-999 the third one is the part of speech, `POS`, and the number follows.

    >>> from lab.data import root
    >>> root().mkdir(exist_ok=True)
    >>> path = root() / "combined.csv"
    >>> _ = path.write_text("Word 1,Word 2,Human (mean)\\nlove,sex,6.77\\ntiger,cat,7.35\\n")
    >>> read_similarities(path)
    [('love', 'sex', 6.77), ('tiger', 'cat', 7.35)]

    Raises:
        BadSetting: it cannot be read, has fewer than three columns, or a pair lacks a word or its number.
    """
    with _about("similarity"):
        tabs = "\t" in read_text(path).partition("\n")[0]
        file = read_csv(path, delimiter="\t" if tabs else ",")
        if len(file.names) < 3:
            raise BadSetting("path", f"{path} has {len(file.names)} columns; expected two words and a number")
        scores = file.names[3] if file.names[2] == "POS" and len(file.names) > 3 else file.names[2]
        numbers = file.numbers(scores)
    for line, row in zip(file.lines, file.rows, strict=True):
        if not (row[0].strip() and row[1].strip()):
            raise BadSetting("similarity", f"{path}:{line}: a word is missing")
    return [
        (row[0].strip().lower(), row[1].strip().lower(), number) for row, number in zip(file.rows, numbers, strict=True)
    ]


def read_analogies(path: Path) -> Analogies:
    """Four words a line, `a is to b as c is to d`, below lines `: KIND`.

    >>> from lab.data import root
    >>> root().mkdir(exist_ok=True)
    >>> path = root() / "questions-words.txt"
    >>> _ = path.write_text(": family\\nboy girl king queen\\nhe she his her\\n: capital\\nAthens Greece Rome Italy\\n")
    >>> read_analogies(path)["capital"]
    [('athens', 'greece', 'rome', 'italy')]

    Raises:
        BadSetting: it cannot be read, a line has another number of words, or no line says the kind of the first one.
    """
    found: Analogies = {}
    kind = None
    with _about("analogies"):
        lines = read_lines(path)
    for number, line in enumerate(lines, 1):
        words = line.lower().split()
        if words[:1] == [":"] and len(words) > 1:
            kind = found.setdefault(" ".join(words[1:]), [])
        elif len(words) == 4 and kind is not None:
            kind.append((words[0], words[1], words[2], words[3]))
        elif words:
            wanted = "four words" if kind is not None else "a line such as `: family` before the first question"
            raise BadSetting("analogies", f"{path}:{number}: expected {wanted}, found {line.strip()!r}")
    if not any(found.values()):
        raise BadSetting("analogies", f"{path} has no questions")
    return found


@contextmanager
def _about(setting: str) -> Iterator[None]:
    """Assigns the errors of a file to the setting that names it."""
    try:
        yield
    except BadSetting as error:
        raise BadSetting(setting, error.message) from None
