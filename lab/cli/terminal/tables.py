"""Tables for a terminal of any width: whole cells, and columns left out where they do not fit."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from lab.sentences import lines_of, note

GAP = 2  # between two columns
SHORTEST = 8  # a run id; a cell is not shortened below it
SHORTENED = 24  # a name may be shortened to it before a column is left out
WIDEST = 100  # letters of a line of text that are read with ease
WRAPPED = 24  # a sentence is given this width before a column is left out


def table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], wrap: Collection[str] = (), drop: Sequence[str] = ()
) -> None:
    """Prints aligned columns: fitted to the width of a terminal, or one row a line in a pipe.

    Args:
        titles: of the columns.
        rows: their cells.
        wrap: columns of sentences, which are wrapped between words, and words that are too long behind a sign such as
            `=`; cells of the others stay on one line, and end in an ellipsis where the terminal is too narrow.
        drop: columns that a narrow terminal leaves out, the least important first; said on standard error. A title that
            this table lacks is passed over.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [list(row) for row in rows]
    console = Console() if sys.stdout.isatty() else Console(width=100_000, no_color=True)
    chosen, widths = fit(titles, cells, console.width, wrap, drop)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for i in chosen:
        grid.add_column(titles[i], no_wrap=titles[i] not in wrap, overflow="ellipsis", width=widths[i])
    for row in cells:
        grid.add_row(*(Text(_wrapped(row[i], widths[i]) if titles[i] in wrap else row[i]) for i in chosen))
    with console.capture() as text:
        console.print(grid)
    print("\n".join(line.rstrip() for line in text.get().splitlines()))
    left_out = [title for i, title in enumerate(titles) if i not in chosen]
    if left_out:
        note(f"columns hidden at this width: {', '.join(left_out)}")


def fit(
    titles: Sequence[str], rows: Sequence[Sequence[str]], width: int, wrap: Collection[str], drop: Sequence[str]
) -> tuple[list[int], list[int]]:
    """The columns that fit into `width`, by their numbers, and the width of every column."""
    from rich.cells import cell_len

    columns = [[title, *(row[i] for row in rows)] for i, title in enumerate(titles)]
    natural = [max(map(cell_len, column)) for column in columns]
    widths = []
    for title, whole, column in zip(titles, natural, columns, strict=True):
        words = max((cell_len(part) for cell in column for word in cell.split() for part in _parts(word)), default=0)
        widths.append(min(whole, max(words, WRAPPED) if title in wrap else max(cell_len(title), SHORTENED)))
    chosen = list(range(len(titles)))

    def spare() -> int:
        return width - sum(widths[i] for i in chosen) - GAP * (len(chosen) - 1)

    for title in drop:
        if title in titles and spare() < 0:
            chosen.remove(titles.index(title))
    while spare() < 0 and max(widths[i] for i in chosen) > SHORTEST:
        widths[max(chosen, key=lambda i: widths[i])] -= 1
    # what is left goes to names first, because sentences can be wrapped
    for i in sorted(chosen, key=lambda i: titles[i] in wrap):
        widths[i] = min(natural[i], widths[i] + max(0, spare()))
    return chosen, widths


def _wrapped(cell: str, width: int) -> str:
    """A cell with long words broken behind signs; spaces between words are left to the table."""
    broken = [word if len(word) <= width else "\n".join(_filled(_parts(word), width)) for word in cell.split(" ")]
    return " ".join(broken)


def _parts(word: str) -> list[str]:
    """The parts of a word that is too long: it is broken behind `/`, `=` and `,`, and between names with dots.

    >>> _parts("torch.optim.sgd"), _parts("sqlite:///mlflow.db")
    (['torch.', 'optim.sgd'], ['sqlite:///', 'mlflow.db'])
    """
    return re.findall(r".+?(?:[/=,]+|(?<=[a-z_])\.(?=[a-z_]\w*\.)|$)", word)


def _filled(parts: Sequence[str], width: int) -> list[str]:
    """The parts of a word in as few lines as fit."""
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return lines


def paragraph(text: str, indent: int = 0, more: int = 0) -> str:
    """A sentence, wrapped between words on a terminal; its first line is indented, and later ones by `more`."""
    width = min(shutil.get_terminal_size().columns, WIDEST) if sys.stdout.isatty() else sys.maxsize
    return textwrap.fill(
        text, width, initial_indent=" " * indent, subsequent_indent=" " * (indent + more), break_on_hyphens=False
    )


def facts(entries: Mapping[str, str | Path | None]) -> None:
    """Prints names with their values, those that are None left out.

    Files of this folder are named from it. A terminal that is too narrow breaks lines between words, and paths behind a
    slash.
    """
    given = {name: value for name, value in entries.items() if value is not None}
    shown = {name: _path(value) if isinstance(value, Path) else value for name, value in given.items()}
    column = max(map(len, shown), default=0)
    width = shutil.get_terminal_size().columns - column - 2 * GAP if sys.stdout.isatty() else sys.maxsize
    for name, value in shown.items():
        first, *rest = lines_of(value, max(width, SHORTENED)) or [""]
        print(f"{' ' * GAP}{name:<{column}}{' ' * GAP}{first}".rstrip())
        for line in rest:
            print(" " * (column + 2 * GAP) + line)


def _path(path: Path) -> str:
    """A path, from this folder on if it lies there."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def ago(moment: datetime) -> str:
    """The time that has passed, for a terminal; date and time in a pipe, or if it was long ago."""
    since = datetime.now(moment.tzinfo) - moment
    if not sys.stdout.isatty() or since > timedelta(days=30):
        return f"{moment:%Y-%m-%d %H:%M}"
    for unit, name in ((timedelta(days=1), "day"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if since >= unit:
            count = since // unit
            return f"{count} {name}{'s' if name == 'day' and count > 1 else ''} ago"
    return f"{max(0, int(since.total_seconds()))} s ago"
