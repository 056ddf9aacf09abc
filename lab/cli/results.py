"""`lab runs`, `lab eval` and `lab play`: what has been trained, and how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.terminal import words
from lab.cli.terminal.output import emit, number
from lab.cli.terminal.tables import ago, note, table, tell
from lab.cli.terminal.working import working


def runs(
    experiment: Annotated[str | None, typer.Option(help="Only this experiment.")] = None,
    last: Annotated[int, typer.Option(min=1, help="Maximum number of runs, newest first.")] = 20,
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """List the latest runs."""
    with working("reading the runs"):
        from lab.runner import results

        rows = results.runs(experiment, last, uri)
    if as_json:
        emit(rows)
        return
    if not rows:
        from lab.tracking.server import no_runs, tracking_uri

        note(no_runs(tracking_uri(uri)))
        return
    table(
        ["RUN", "NAME", "EXPERIMENT", "TASK", "STATUS", "SEED", "METRIC", "SCORE", "SECONDS", "STARTED"],
        [
            [
                row.run_id[:8],
                row.name,
                row.experiment,
                row.task or "-",
                row.status,
                "-" if row.seed is None else str(row.seed),
                row.monitor or "-",
                number(row.score),
                "-" if row.seconds is None else f"{row.seconds:.0f}",
                ago(row.started),
            ]
            for row in rows
        ],
        drop=("SECONDS", "SEED", "TASK", "EXPERIMENT", "METRIC"),
    )


def evaluate(
    run: words.Run,
    overrides: words.Overrides = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Number of test episodes, for agents.")] = None,
    checkpoint: words.Checkpoint = "best",
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """Test a run's checkpoint again."""
    with working(f"looking for run {run}"):
        from lab.runner import evaluate as evaluation

        metrics = evaluation.evaluate(run, episodes, checkpoint, overrides or (), uri)
    if as_json:
        emit(metrics)
    else:
        table(["METRIC", "VALUE"], [[name, number(value)] for name, value in metrics.items()])


def play(
    run: words.Run,
    video: Annotated[Path, typer.Option(metavar="FILE", help="The MP4 file to write.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the start state.")] = 0,
    checkpoint: words.Checkpoint = "best",
    uri: words.Uri = None,
) -> None:
    """Record a video of one episode of a run's agent."""
    with working(f"looking for run {run}"):
        from lab.runner import evaluate as evaluation

        written, total = evaluation.play(run, video, seed, checkpoint, uri)
    tell(f"wrote {written}: one episode from start seed {seed}, return {number(total)}")
