"""`lab data ls`, `lab data fetch` and `lab data show`: the sets of images, where they lie, and what they look like."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import words
from lab.cli.output import check_plot, emit, table, working
from lab.errors import BadInput

if TYPE_CHECKING:
    from lab.vision.data.sets import ImageSet

app = typer.Typer(no_args_is_help=True, help="List, fetch and look at the sets of images.")
EXPERIMENT = "data"


@app.command()
def ls(as_json: words.Json = False) -> None:
    """List the sets of images: what they are, whether they are here, and where they are from."""
    from lab.vision.data.sets import known_sets

    found = [_row(each) for each in known_sets().values()]
    if as_json:
        emit(found)
        return
    titles = ("name", "images", "origin", "state", "about", "from")
    table([title.upper() for title in titles], [[str(row[title]) for title in titles] for row in found])


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A set that `lab data ls` lists as missing.")],
) -> None:
    """Download a set into `data/`, or into the folder that LAB_DATA names."""
    from lab.vision.data.sets import find, known_sets

    found = known_sets()[name] if name == "folder" else find(name)
    if found.fetch is None:
        print(f"{name} needs no download: {found.source}")
        return
    if found.present:
        print(f"{name} is in {found.path}")
        return
    with working():
        print(f"fetching {name}: {found.source}", file=sys.stderr)
        found.fetch()
    print(f"{name} is in {found.path}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A set of images, as `lab data ls` lists it.")],
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Draw samples, counts, mean images and a map of them into this .png, .pdf or .svg."
        ),
    ] = None,
    path: Annotated[str | None, typer.Option(help="Where the sets `folder` and `keypoints` lie.")] = None,
    size: Annotated[int | None, typer.Option(min=8, help="Height and width, for files of any size.")] = None,
    images: Annotated[int | None, typer.Option(min=2, help="How many images; by default all.")] = None,
    track: Annotated[bool, typer.Option("--track", help=f"Log the plot in MLflow, experiment {EXPERIMENT}.")] = False,
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """Count what a set has to learn from, and draw what it looks like."""
    if plot is not None:
        check_plot(plot)
    elif track:
        raise BadInput("--track logs the plot; name its file with --plot FILE")
    from lab.vision.data.image_data import ImageData
    from lab.vision.data.show import counts, page

    with working():
        data = ImageData(name, path=path, size=size, images=images)
        data.prepare_data()
        found = data.everything()
        counted = counts(found, data.set)
        if plot is not None:
            drawing = page(found, data.set, f"{name}: {data.set.about}; {len(found):,} images to learn from")
            try:
                drawing.savefig(plot)
            except OSError as error:
                raise BadInput(f"cannot write {plot}: {error.strerror}") from error
            if track:
                _keep(plot, data.tags(), uri)
    if as_json:
        emit({"name": name, "origin": data.origin, "images": len(found), "counts": counted, "plot": plot})
        return
    print(f"{name}: {data.set.about}; {data.origin}, {data.set.source}")
    table(["CLASS" if "label" in found.targets else "WHAT", "IMAGES"], [[key, str(n)] for key, n in counted.items()])
    if plot is not None:
        print(f"wrote {plot}")


def _row(found: ImageSet) -> dict[str, str | int | None]:
    """What is known about a set without reading it."""
    size = None
    if found.path is not None and found.present:
        files = found.path.rglob("*") if found.path.is_dir() else [found.path]
        size = sum(file.stat().st_size for file in files if file.is_file())
    state = "built in" if found.fetch is None else "missing" if size is None else f"{size / 1e6:,.0f} MB"
    return {
        "name": found.name,
        "images": found.train + found.test or "-",
        "origin": found.origin,
        "state": state if found.name != "folder" else "yours",
        "about": found.about,
        "from": found.source,
        "path": str(found.path) if found.path is not None else None,
        "bytes": size,
    }


def _keep(plot: Path, tags: dict[str, str], uri: str | None) -> None:
    """A finished run with the plot as its artifact."""
    from lab.tracking.server import client, connecting, experiment_id, tracking_uri

    address = tracking_uri(uri)
    server = client(address)
    with connecting(address):
        experiment = experiment_id(server, EXPERIMENT, address)
        run = server.create_run(experiment, run_name=tags["data.name"], tags=tags).info.run_id
        server.log_artifact(run, str(plot), "plots")
        server.set_terminated(run)
