"""`lab data ls`, `lab data fetch` and `lab data show`: the data sets of all fields and plugins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.group import Subgroup
from lab.cli.terminal import words
from lab.cli.terminal.output import check_plot, emit
from lab.cli.terminal.tables import paragraph, table
from lab.cli.terminal.working import working
from lab.errors import BadInput, BadSetting
from lab.sentences import note, tell
from lab.stages import number, say

if TYPE_CHECKING:
    from lab.data import DatasetInfo, Table

app = typer.Typer(cls=Subgroup, no_args_is_help=True, help="List, download and show datasets.")
EXPERIMENT = "data"


@app.command()
def ls(as_json: words.Json = False) -> None:
    """List the datasets with description, state and source."""
    with working("importing the datasets of every package"):
        from lab.data import all_datasets

        datasets, problems = all_datasets()
        found = [_row(each) for each in datasets.values()]
    if as_json:
        emit(found)
    else:
        titles = ("name", "field", "rows", "origin", "state", "description", "source")
        cells = [[str(row[title]) for title in titles] for row in found]
        sentences = ("DESCRIPTION", "SOURCE")
        table([title.upper() for title in titles], cells, wrap=sentences, drop=("SOURCE", "ORIGIN", "FIELD", "ROWS"))
    for problem in problems:
        note(problem)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A dataset that `lab data ls` lists as missing.")],
) -> None:
    """Download a dataset to `data/`, or to the folder LAB_DATA."""
    with working(f"looking for {name}"):
        found = _find(name)
        if found.missing:
            say(f"fetching {name}: {found.source}")
        found.prepare()
    tell(f"{name} needs no download: {found.source}" if found.fetch is None else f"{name} is in {found.path}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A dataset listed by `lab data ls`.")],
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Plot it to this .png, .pdf or .svg file; for images samples, class counts, mean images and t-SNE.",
        ),
    ] = None,
    path: Annotated[str | None, typer.Option(help="Path of your own data, for `folder` and `keypoints`.")] = None,
    size: Annotated[int | None, typer.Option(min=8, help="Height and width, for images of any size.")] = None,
    max_rows: Annotated[int | None, typer.Option(min=2, help="Maximum number of rows; by default all.")] = None,
    track: Annotated[bool, typer.Option("--track", help=f"Log the plot in MLflow, experiment {EXPERIMENT}.")] = False,
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """Summarise the training rows of a dataset by column, and plot examples."""
    if plot is not None:
        check_plot(plot)
    elif track:
        raise BadInput("--track needs --plot FILE")
    with working(f"reading {name}"):
        found = _find(name).at(path)
        if plot is not None and found.plot is None:
            raise BadInput(f"{name} has no plot; leave --plot out")
        rows = found.load("train", max_rows, **({} if size is None else {"size": size}))
        counts = found.counts(rows)
        if plot is not None:
            _draw(found, rows, plot)
            if track:
                _log(plot, {"data.name": name, "data.origin": found.origin}, uri)
    columns = summary(rows)
    if as_json:
        about = {"name": name, "field": found.field, "origin": found.origin, "rows": len(rows)}
        emit(about | {"columns": columns, "counts": counts, "plot": plot})
        return
    print(paragraph(f"{name}: {found.description}; {found.origin}, {found.source}"))
    titles = ("column", "dtype", "shape", "min", "max", "missing")
    cells = [[_cell(column[title]) for title in titles] for column in columns]
    table([title.upper() for title in titles], cells, drop=("MISSING", "DTYPE"))
    if counts:
        print()
        of_classes = list(counts) == list(found.classes)
        table(["CLASS" if of_classes else "WHAT", "ROWS"], [[key, str(n)] for key, n in counts.items()])
    if plot is not None:
        print(f"wrote {plot}")


def _find(name: str) -> DatasetInfo:
    from lab.data import DatasetInfo, find_dataset

    try:
        return find_dataset(name, DatasetInfo)
    except BadSetting as error:  # a key of a recipe, and here an argument
        raise BadInput(error.message) from None


def summary(rows: Table) -> list[dict[str, Any]]:
    """The columns: name, dtype, shape (T for rows of different length), range, and how many are NaN."""
    from lab.data import Ragged

    found = []
    for name, column in rows.columns.items():
        values = column.values if isinstance(column, Ragged) else column
        shape = [len(rows), "T", *values.shape[1:]] if isinstance(column, Ragged) else list(values.shape)
        missing = values.isnan()
        known = values[~missing]
        found.append(
            {
                "column": name,
                "dtype": str(values.dtype).removeprefix("torch."),
                "shape": shape,
                "min": known.min().item() if len(known) else None,
                "max": known.max().item() if len(known) else None,
                "missing": int(missing.sum()),
            }
        )
    return found


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " x ".join(map(str, value))
    return number(value) if value is None or isinstance(value, float) else str(value)


def _row(found: DatasetInfo) -> dict[str, Any]:
    """The facts about a data set that need no reading of it."""
    size = None
    if found.path is not None and found.present:
        files = found.path.rglob("*") if found.path.is_dir() else [found.path]
        size = sum(file.stat().st_size for file in files if file.is_file())
    state = "built in" if found.fetch is None else "missing" if size is None else f"{size / 1e6:,.0f} MB"
    return {
        "name": found.name,
        "field": found.field,
        "rows": found.train_rows + found.test_rows or "-",
        "origin": found.origin,
        "state": "yours" if found.fetch is None and found.locate is not None else state,
        "description": found.description,
        "source": found.source,
        "columns": found.columns,
        "classes": found.classes,
        "present": found.present,
        "path": found.path,
        "bytes": size,
    }


def _draw(found: DatasetInfo, rows: Table, plot: Path) -> None:
    assert found.plot is not None  # `show` has looked
    drawing = found.plot(found, rows, f"{found.name}: {found.description}; {len(rows):,} rows to learn from")
    try:
        drawing.savefig(plot)
    except OSError as error:
        raise BadInput(f"cannot write {plot}: {error.strerror}") from error


def _log(plot: Path, tags: dict[str, str], uri: str | None) -> None:
    """A finished run with the plot in it."""
    from lab.tracking.server import client, connecting, experiment_id, tracking_uri

    address = tracking_uri(uri)
    server = client(address)
    with connecting(address):
        experiment = experiment_id(server, EXPERIMENT, address)
        run = server.create_run(experiment, run_name=tags["data.name"], tags=tags).info.run_id
        server.log_artifact(run, str(plot), "plots")
        server.set_terminated(run)
