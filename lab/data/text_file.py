"""Files of text: decoded as asked for, or refused in one line that names the file and the line."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from lab.errors import BadSetting

ENDS = re.compile(r"\r\n|\r|\n")  # str.splitlines knows others, such as U+2028, which stand within a line of most files
BOMS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_text(path: Path, encoding: str | None = None) -> str:
    """The text of a file, without a byte order mark.

    >>> from lab.data import root
    >>> root().mkdir(exist_ok=True)
    >>> path = root() / "note.txt"
    >>> _ = path.write_text("first\\nsecond\\n")
    >>> read_text(path).splitlines()
    ['first', 'second']

    Args:
        path: of the file.
        encoding: of the text, by Python's name, as the setting `encoding` says; UTF-8 where there is no such setting.

    Raises:
        BadSetting: it cannot be read, has text of another encoding, or there is no such encoding.
    """
    advice = "save it as UTF-8" if encoding is None else "save it as UTF-8, or set `encoding`"
    encoding = encoding or "utf-8"
    try:
        written = codecs.lookup(encoding).name.upper()
    except LookupError:
        raise BadSetting("encoding", f"Python knows no encoding {encoding!r}; such as utf-8, latin-1, utf-16") from None
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadSetting("path", f"{path} cannot be read: {error.strerror}") from None
    for mark, name in BOMS.items():
        if content.startswith(mark) and "16" not in encoding:
            raise BadSetting("path", f"{path} is text of {name.upper()}; {advice}")
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{content[error.start]:02x}" if error.start < len(content) else "the end"
        raise BadSetting("path", f"{path}:{line}: {byte} is not {written}; {advice}") from None
    except (LookupError, ValueError) as error:  # a codec that decodes no text
        raise BadSetting("encoding", f"{encoding!r} cannot be used: {error}") from None


def read_lines(path: Path, encoding: str | None = None) -> list[str]:
    r"""The lines of a file, without their ends, as editors count them.

    >>> from lab.data import root
    >>> root().mkdir(exist_ok=True)
    >>> path = root() / "lines.txt"
    >>> _ = path.write_text("first\u2028half\nsecond\n", encoding="utf-8")
    >>> len(read_lines(path))
    2

    Args:
        path: of the file.
        encoding: as `read_text` takes it.

    Raises:
        BadSetting: as `read_text` does.
    """
    *lines, last = ENDS.split(read_text(path, encoding))
    return [*lines, last] if last else lines
