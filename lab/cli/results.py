"""`lab runs`, `lab eval`, `lab play`, `lab collect` and `lab sample`: what has been trained, and how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.terminal import words
from lab.cli.terminal.output import emit
from lab.cli.terminal.tables import ago, table
from lab.cli.terminal.working import working
from lab.sentences import note, tell
from lab.stages import duration, number


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
    columns = {
        "RUN": [row.run_id[:8] for row in rows],
        "NAME": [row.name for row in rows],
        "STUDY": [row.study or "-" for row in rows],
        "EXPERIMENT": [row.experiment for row in rows],
        "TASK": [row.task or "-" for row in rows],
        "STATUS": [row.status for row in rows],
        "SEED": ["-" if row.seed is None else str(row.seed) for row in rows],
        "METRIC": [row.monitor or "-" for row in rows],
        "SCORE": [number(row.score) for row in rows],
        "WALL TIME": ["-" if row.wall_seconds is None else duration(row.wall_seconds) for row in rows],
        "STARTED": [ago(row.started) for row in rows],
    }
    if not any(row.study for row in rows):
        del columns["STUDY"]
    table(
        list(columns), zip(*columns.values(), strict=True), drop=("WALL TIME", "SEED", "TASK", "EXPERIMENT", "METRIC")
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


def collect(
    run: words.Run,
    episodes: Annotated[int, typer.Option(min=1, help="Number of episodes.")] = 100,
    noise: Annotated[
        float,
        typer.Option(
            help="Gaussian noise on actions, as a fraction of half their range; the probability of a random action "
            "where they are discrete.",
        ),
    ] = 0.0,
    to: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Minari id, such as pendulum/medium-v0; by default environment/task-v0."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The first start seed.")] = 0,
    checkpoint: words.Checkpoint = "best",
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """Record episodes of a run's agent as a Minari dataset."""
    with working(f"looking for run {run}"):
        from lab.runner import evaluate as evaluation

        name, numbers = evaluation.collect(run, to, episodes, noise, seed, checkpoint, uri)
    if as_json:
        emit({"name": name, **numbers})
    else:
        texts = {
            what: f"{value:,.0f}" if float(value).is_integer() else number(value) for what, value in numbers.items()
        }
        table(["WHAT", "VALUE"], list(texts.items()))
        tell(f"wrote the dataset {name}; lab data show {name} summarises it")


def sample(
    run: words.Run,
    prompt: Annotated[str, typer.Option(help="What the text begins with.")] = "",
    max_tokens: Annotated[int, typer.Option(min=1, help="How many tokens are added.")] = 200,
    temperature: Annotated[
        float, typer.Option(help="Below 1 probable tokens are sampled more often, above 1 less often.")
    ] = 1.0,
    top_k: Annotated[int | None, typer.Option(min=1, help="Sample from the most probable tokens only.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the text.")] = 0,
    checkpoint: words.Checkpoint = "best",
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """Let a run's language model write a text."""
    from lab.runner import evaluate as evaluation

    with working(f"looking for run {run}"):
        text = evaluation.sample(run, prompt, max_tokens, temperature, top_k, seed, checkpoint, uri)
    if as_json:
        emit({"run": run, "prompt": prompt, "text": text})
    else:
        print(text)
