"""`lab compare`: scores of recipes, runs or settings over their seeds, with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lab.cli.terminal import words
from lab.cli.terminal.output import check_plot, emit, plain
from lab.cli.terminal.tables import table
from lab.cli.terminal.working import working
from lab.errors import BadInput
from lab.plots import better
from lab.sentences import note
from lab.stages import number

if TYPE_CHECKING:
    from lab.comparison import Comparison, Selection
    from lab.stats import Improvement, Interval


def compare(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT", help="Recipes, experiments, studies, or runs by name or id; `recipe:NAME` selects the kind."
        ),
    ],
    metric: Annotated[str | None, typer.Option(help="The score; by default the one that the runs record.")] = None,
    mode: Annotated[
        Literal["min", "max"] | None,
        typer.Option(help="Whether a smaller or a larger score is better; by default as recorded."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Plot learning curves and scores to this .png, .pdf or .svg file."),
    ] = None,
    curve: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC",
            help="What to draw over time, by default the score in validation; may be repeated, and `a,b` means a, "
            "or b where there is none.",
        ),
    ] = None,
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """Compare finished runs over their seeds, with intervals."""
    if plot is not None:
        check_plot(plot)
    elif curve:
        raise BadInput("--curve needs --plot FILE: curves are part of the plot")
    with working("reading the runs"):
        from lab import comparison

        chosen = comparison.select(what, metric, mode, uri, curve or ())
        figures = comparison.report(chosen.groups, chosen.mode, chosen.ranked)
        notes = chosen.notes if plot is None else [*chosen.notes, *_draw(plot, chosen, figures, uri)]
    for line in notes:
        note(line)
    if as_json:
        ids = {group.label: group.runs for group in chosen.groups}
        rows = [{**plain(row), "ids": ids[row.label]} for row in figures.rows]
        emit({"metric": chosen.metric, "mode": chosen.mode, "reference": figures.reference, "groups": rows})
        return
    _print(chosen.metric, figures)


def _draw(plot: Path, chosen: Selection, figures: Comparison, uri: str | None) -> Iterator[str]:
    """Writes the plot and describes it."""
    from lab.comparison import curves, draw
    from lab.comparison.curves import missing
    from lab.tracking.server import client, tracking_uri

    server = client(tracking_uri(uri))
    lines = [line for metric in chosen.curves for line in curves(chosen.groups, metric, server)]
    try:
        draw(plot, chosen, figures, lines)
    except OSError as error:
        raise BadInput(f"cannot write {plot}: {error.strerror}") from error
    yield from missing(chosen.groups, chosen.curves, lines)
    yield f"wrote {plot}"


def _print(metric: str, figures: Comparison) -> None:
    print(better(metric, figures.mode))
    titles = ["GROUP", "RUNS", "MEAN", "IQM", "95 % OF IQM", "MIN", "MAX", f"BETTER THAN {figures.reference}"]
    rows = [
        [
            row.label,
            str(row.runs),
            number(row.mean),
            number(row.iqm),
            _interval(row.interval),
            number(row.min),
            number(row.max),
            _improvement(row.better),
        ]
        for row in figures.rows
    ]
    columns = len(titles) if len(rows) > 1 else -1  # one group is better than nothing
    table(
        titles[:columns],
        [row[:columns] for row in rows],
        wrap=("GROUP", "95 % OF IQM", titles[-1]),
        drop=("MIN", "MAX", "MEAN"),
    )


def _interval(interval: Interval | None) -> str:
    return f"[{number(interval.low)}, {number(interval.high)}]" if interval else "-"


def _improvement(better: Improvement | None) -> str:
    if better is None:
        return "-"
    interval = f" [{better.interval.low:.2f}, {better.interval.high:.2f}]" if better.interval else ""
    return f"{better.probability:.2f}{interval}"
