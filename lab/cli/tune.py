"""`lab tune`: many runs of one recipe; `lab tune apply`: the best of them as a recipe; `lab studies`; `lab claim`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lab.cli.group import DEFAULT, Command, DefaultGroup
from lab.cli.terminal import words
from lab.cli.terminal.output import emit
from lab.cli.terminal.tables import ago, table
from lab.cli.terminal.working import working
from lab.errors import LabError
from lab.sentences import note, tell
from lab.stages import number

if TYPE_CHECKING:
    from lab.study.study import Study
    from lab.study.work.record import StudyRecord

app = typer.Typer(
    cls=DefaultGroup, no_args_is_help=True, help="Run a study: train one recipe with different settings and seeds."
)

Storage = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="A database for several machines, such as postgresql://user@host/studies."),
]


@app.command(DEFAULT, cls=Command)
def tune(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A YAML file, or the name of an installed study.",
            autocompletion=words.study_names,
        ),
    ],
    overrides: words.Overrides = None,
    name: Annotated[str | None, typer.Option(help="The study's name; by default the file's.")] = None,
    workers: words.Workers = None,
    storage: Storage = None,
    launcher: Annotated[
        Literal["local", "ray"], typer.Option(help="Worker processes on this machine, or tasks of a Ray cluster.")
    ] = "local",
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """Train the trials of a study that are not finished yet, and print the table."""
    with working(f"reading {study}"):
        from lab.registry import find_recipe
        from lab.study.plan import schema
        from lab.study.plan.plan import make_plan
        from lab.study.study import tune as work_off
        from lab.study.work.storage import open_storage

        if storage is not None:  # before the plan, which imports torch: an address may be wrong
            open_storage(storage, "", "")
        planned = make_plan(schema.load_study(find_recipe(study, "study"), overrides or ()), name, uri=uri)
        found = work_off(planned, workers=workers, address=storage, launcher=launcher, uri=uri)
    say(found, as_json, storage)


def say(found: Study, as_json: bool, storage: str | None = None) -> None:
    """Print the table of a study and the suggested next commands."""
    from lab.study.report import render
    from lab.study.report.table import table as table_of

    lines = table_of(found.record)
    if as_json:
        emit(render.data(lines))
    else:
        titles, rows = render.cells(lines)
        drop = [title for title in dict.fromkeys(titles) if title in ("95 % INTERVAL", "SEEDS")]
        table(titles, rows, wrap=("STATE",), drop=drop[::-1])
        tell(f"{render.caption(lines)}\nnext")
        for step in _next(found.record, storage, found.uri):
            print(f"  {step}")
    if found.failure:
        raise LabError(found.failure)


@app.command()
def apply(
    study: Annotated[str, typer.Argument(metavar="NAME", help="Name of a started study.")],
    trial: Annotated[int | None, typer.Option(min=0, help="Which trial; by default the best one.")] = None,
    storage: Storage = None,
    uri: words.Uri = None,
) -> None:
    """Print the best trial of a study as a recipe."""
    with working(f"reading {study}"):
        from lab.study.report import apply as application
        from lab.study.work.record import find

        text = application.recipe(find(study, storage, uri), trial)
    print(text, end="")


def studies(storage: Storage = None, uri: words.Uri = None, as_json: words.Json = False) -> None:
    """List the studies of this folder or of a database."""
    rows = []
    with working("reading the studies"):
        from lab.study.work.record import every

        for found in every(storage, uri):
            if isinstance(found, str):
                note(found)
            else:
                rows.append(_row(found))
    if as_json:
        emit(rows)
        return
    if not rows:
        note("no studies here yet; start one: lab tune pendulum_search")
        return
    titles = ["STUDY", "STATE", "DONE", "COMPLETE", "PRUNED", "FAILED", "METRIC", "BEST", "UPDATED"]
    cells = [
        [
            row["name"],
            row["state"],
            f"{row['done']}/{row['total']}",
            *(str(row["trials"][state]) for state in ("complete", "pruned", "failed")),
            row["metric"],
            number(row["best"]),
            ago(row["updated"]) if row["updated"] else "-",
        ]
        for row in rows
    ]
    table(titles, cells, drop=("PRUNED", "COMPLETE", "UPDATED", "FAILED", "METRIC"))


def claim(
    file: Annotated[
        str,
        typer.Argument(
            metavar="CLAIM", help="A YAML file, or the name of an installed claim.", autocompletion=words.claim_names
        ),
    ],
    workers: words.Workers = None,
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """Train the missing runs of a claim and print whether it is upheld."""
    with working(f"reading {file}"):
        from lab.registry import find_recipe
        from lab.study import judge, load_claim

        found = judge(load_claim(find_recipe(file, "claim")), workers, uri)
    if as_json:
        emit(found)
        return
    table(
        ["", "STUDY", "SEEDS", "MEAN", "IQM", "95 %"],
        [
            [
                side.name,
                side.study,
                str(len(side.scores)),
                number(side.mean),
                number(side.iqm),
                _interval(side.interval),
            ]
            for side in found.evidence
        ],
        drop=("MEAN", "SEEDS"),
    )
    better, worse = (side.name for side in found.evidence)
    chance = f"{found.probability:.2f} ({_interval(found.interval)})"
    tell(f"{found.metric}: a run of {better} is better than one of {worse} with probability {chance}")
    tell(f"{found.verdict.upper()}: {found.claim}")


def _row(record: StudyRecord) -> dict[str, Any]:
    """One study of the list."""
    from lab.study.report.summary import STATES, best

    count = {state: sum(trial.state == state for trial in record.trials) for state in STATES.values()}
    done = count["complete"] + count["pruned"] + count["failed"]
    state = "running" if record.working else "finished" if done >= record.entries else "unfinished"
    leader = best(record.modes[0], record.trials)
    return {
        "name": record.name,
        "state": state,
        "done": done,
        "total": max(record.entries, len(record.trials)),
        "trials": count,
        "metric": record.metrics[0],
        "mode": record.modes[0],
        "best": leader.values[0] if leader else None,
        "updated": record.updated,
    }


def _next(record: StudyRecord, storage: str | None, server: str) -> list[str]:
    """Suggested next commands; addresses are shown without their passwords."""
    from lab.study.work.storage import journal
    from lab.tracking.redaction import without_password
    from lab.tracking.server import tracking_uri

    there = f" --storage {shlex.quote(without_password(storage))}" if storage else ""
    tracked = f" --uri {shlex.quote(without_password(server))}" if server != tracking_uri() else ""
    if storage:
        kept = without_password(storage)
    else:
        path = journal(record.name, server)
        kept = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    name = shlex.quote(record.name)
    done = any(trial.state == "complete" for trial in record.trials)
    results = [f"lab tune apply {name}{there}{tracked} > best.yaml", f"lab compare {name}{tracked}"]
    return [
        *(results if done else []),
        f"lab ui{tracked}",
        f"optuna-dashboard {shlex.quote(kept)}",
    ]


def _interval(interval: object) -> str:
    low, high = getattr(interval, "low", None), getattr(interval, "high", None)
    return "-" if low is None else f"{number(low)} to {number(high)}"
