"""`lab sync`: send what waits for a tracking server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import words
from lab.cli.output import emit, working

if TYPE_CHECKING:
    from lab.tracking.sync import Report


def sync(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Only this run: its id, its first digits, its name, or `last`.")
    ] = None,
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """Send what waits in this folder to the tracking server."""
    from lab.tracking import sync as outbox

    with working():
        reports = list(outbox.sync(run, uri))
    if as_json:
        emit(reports)
    else:
        print("\n".join(map(_line, reports)) or "nothing waits")
    if any(report.failed for report in reports):
        raise typer.Exit(1)


def _line(report: Report) -> str:
    run = f"{report.name} {report.run_id[:8]}"
    if report.failed:
        return f"{run}: {report.sent} operations sent, {report.waiting} wait: {report.note}"
    return f"{run}: {report.note or f'{report.sent} operations sent to {report.uri}'}"
