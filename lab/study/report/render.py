"""A study's table as cells to read, as plain data, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

from lab.plots import better
from lab.stages import number
from lab.stats import Interval
from lab.study.report.table import Estimate, StudyTable, TableRow

NAMES = {"mean": "mean", "iqm": "IQM", "median": "median"}
SURE = "95 % INTERVAL"


def cells(table: StudyTable) -> tuple[list[str], list[list[str]]]:
    """Titles and rows, with four significant digits."""
    columns = list(_columns(table))
    return [title for title, _ in columns], [[cell(line) for _, cell in columns] for line in table.lines]


def data(table: StudyTable) -> list[dict[str, Any]]:
    """One mapping a line, with full precision and every seed."""
    return [
        {
            "trial": line.trial,
            "state": line.state,
            **({"parameter": line.parameter, "value": line.value} if table.one_at_a_time else {}),
            "settings": dict(line.settings),
            "seeds": list(line.seeds),
            "finished": line.finished,
            "metrics": {name: _plain(table, estimate) for name, estimate in line.metrics.items()},
            **({"published": line.published} if table.published else {}),
            **({"front": line.front} if line.front is not None else {}),
            "reason": line.reason,
        }
        for line in table.lines
    ]


def as_csv(table: StudyTable) -> str:
    """Comma-separated values with full precision: every estimate, its interval, and every seed a column of its own."""
    rows = [dict(_fields(table, line)) for line in table.lines]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_markdown(table: StudyTable) -> str:
    """A Markdown page: the table and its caption."""
    titles, rows = cells(table)
    named = 2 if table.one_at_a_time else 1 + len(table.keys)  # columns of names and settings; estimates follow
    names = (*table.keys, *table.metrics, *table.columns)
    code = range(0 if table.one_at_a_time else 1, named)
    lines = [
        [title.capitalize() if title.isupper() and title not in names else title for title in titles],
        [":--" if i < named else "--:" for i in range(len(titles))],
        *([f"`{cell}`" if i in code and cell != "-" else cell for i, cell in enumerate(row)] for row in rows),
    ]
    if table.one_at_a_time:  # a parameter's name stands at the first of its values
        for before, line in reversed(list(itertools.pairwise(lines[2:]))):
            line[0] = "" if line[0] == before[0] else line[0]
    body = "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)
    return f"# {table.name}\n\n{body}\n\n{caption(table)}\n"


def caption(table: StudyTable) -> str:
    """One or two sentences that explain the numbers of the table."""
    seeds = {len(line.seeds) for line in table.lines}
    count = f"{max(seeds)} seed{'s' * (max(seeds) > 1)}" if seeds else "its seeds"
    ways = ", ".join(map(better, table.metrics, table.modes))
    kind = "" if table.statistic == "mean" else f" and {NAMES[table.statistic]}"
    text = f"{ways}: mean{kind} over {count}"
    if seeds and max(seeds) > 1:
        text += ", with 95 % percentile bootstrap intervals"
    if table.one_at_a_time:
        text += "; each line changes one setting of the default"
    if table.published:
        text += "; published: values from elsewhere, as given in the study"
    return f"{text}."


def exact(value: Any) -> str:
    """A setting as it is written in a recipe."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def label(value: Any) -> str:
    """The same, with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else exact(value)


# ----------------------------------------------------------------------------------------------------------- for people

Column = tuple[str, Callable[[TableRow], str]]  # its title, and a line's cell


def _columns(table: StudyTable) -> Iterator[Column]:
    if table.one_at_a_time:
        yield "PARAMETER", lambda line: line.parameter or ""
        yield "VALUE", lambda line: exact(line.value)
    else:
        yield "TRIAL", lambda line: str(line.trial)
        yield from (_setting(key) for key in table.keys)
    yield "SEEDS", lambda line: f"{line.finished}/{len(line.seeds)}"
    for metric in table.metrics:
        yield from _metric(table, metric)
    yield from (_mean(column) for column in table.columns)
    if table.published:
        yield "PUBLISHED", lambda line: number(line.published)
    if any(line.front is not None for line in table.lines):
        yield "FRONT", lambda line: "*" if line.front else ""
    if any(map(_state, table.lines)):
        yield "STATE", _state


def _setting(key: str) -> Column:
    return key, lambda line: label(line.settings[key]) if key in line.settings else "-"


def _metric(table: StudyTable, metric: str) -> Iterator[Column]:
    """The mean with its interval, and the study's own statistic with its own."""
    intervals = any(len(line.seeds) > 1 for line in table.lines)
    yield _mean(metric)
    if intervals:
        yield SURE, lambda line: _interval(estimate.interval if (estimate := _shown(line, metric)) else None)
    if table.statistic != "mean":
        title = f"{NAMES[table.statistic]} of {metric}"
        yield title, lambda line: number(estimate.value if (estimate := _shown(line, metric)) else None)
        if intervals:
            yield SURE, lambda line: _interval(estimate.value_interval if (estimate := _shown(line, metric)) else None)


def _mean(metric: str) -> Column:
    return metric, lambda line: number(estimate.mean if (estimate := _shown(line, metric)) else None)


def _shown(line: TableRow, metric: str) -> Estimate | None:
    """A failed trial has no estimates, even if some of its seeds do."""
    return None if line.state == "failed" else line.metrics.get(metric)


def _state(line: TableRow) -> str:
    """The state of a row that is not complete; empty for one that is."""
    return "" if line.state == "complete" else f"{line.state}: {line.reason}" if line.reason else line.state


def _interval(interval: Interval | None) -> str:
    return f"[{number(interval.low)}, {number(interval.high)}]" if interval else "-"


# -------------------------------------------------------------------------------------------------------- for programs


def _plain(table: StudyTable, estimate: Estimate) -> dict[str, Any]:
    plain: dict[str, Any] = {"mean": estimate.mean, "interval": _pair(estimate.interval)}
    if table.statistic != "mean":
        plain |= {table.statistic: estimate.value, f"{table.statistic}_interval": _pair(estimate.value_interval)}
    return {**plain, "seeds": dict(estimate.seeds)}


def _pair(interval: Interval | None) -> list[float] | None:
    return [interval.low, interval.high] if interval else None


def _fields(table: StudyTable, line: TableRow) -> Iterator[tuple[str, Any]]:
    """The cells of a line of CSV; what is missing is empty."""
    if table.one_at_a_time:
        yield from (("parameter", line.parameter), ("value", exact(line.value)))
    yield from (("trial", line.trial), ("state", line.state))
    if not table.one_at_a_time:
        yield from ((key, exact(line.settings[key]) if key in line.settings else None) for key in table.keys)
    yield from (("finished", line.finished), ("seeds", len(line.seeds)))
    for name in (*table.metrics, *table.columns):
        estimate = line.metrics.get(name)
        yield name, estimate and estimate.mean
        if name in table.metrics:
            yield from _limits(name, estimate.interval if estimate else None)
            if table.statistic != "mean":
                yield f"{name} {table.statistic}", estimate and estimate.value
                yield from _limits(f"{name} {table.statistic}", estimate.value_interval if estimate else None)
        yield from ((f"{name} seed {seed}", estimate.seeds.get(seed) if estimate else None) for seed in line.seeds)
    if table.published:
        yield "published", line.published
    if line.front is not None:
        yield "front", line.front
    yield "reason", line.reason


def _limits(name: str, interval: Interval | None) -> Iterator[tuple[str, float | None]]:
    yield f"{name} low", interval.low if interval else None
    yield f"{name} high", interval.high if interval else None
