"""`lab run` and `lab resume`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from lab.cli.terminal import words
from lab.cli.terminal.output import emit
from lab.cli.terminal.result import print_result
from lab.cli.terminal.tables import table
from lab.cli.terminal.working import working
from lab.errors import BadInput, LabError
from lab.sentences import note, tell
from lab.stages import number

MOST = 10_000  # trainings of one command: each is a trial, and queueing them takes time


def run(
    recipe: words.Recipe,
    overrides: words.Overrides = None,
    name: Annotated[str | None, typer.Option(help="The run's name in MLflow.")] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=2, max=MOST, help="Train with this many seeds in parallel and print their statistics."),
    ] = None,
    folds: Annotated[int | None, typer.Option(min=2, max=MOST, help="Cross-validate with this many folds.")] = None,
    workers: words.Workers = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Track in this folder; `lab sync` sends it later.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and print the complete recipe without training.")
    ] = False,
    as_json: words.Json = False,
) -> None:
    """Train, evaluate and track one recipe."""
    settings = list(overrides or ())
    if seeds is not None or folds is not None:
        option = "--seeds" if folds is None else "--folds"
        if seeds is not None and folds is not None:
            raise BadInput("--folds cannot be combined with --seeds: all folds use the recipe's seed")
        if offline or dry_run:
            raise BadInput(f"{option} cannot be combined with --{'offline' if offline else 'dry-run'}")
        _repeat(recipe, settings, seeds, folds, name, workers, as_json)
        return
    if workers is not None:
        raise BadInput("--workers needs --seeds or --folds: a single run uses one process")
    if name is not None:
        from lab.recipe import override

        settings.append(override("track.name", name))  # quoted where need be: a name may look like a number
    if dry_run:
        from lab.cli.check import checked_recipe
        from lab.registry import find_recipe

        checked = checked_recipe(recipe, find_recipe(recipe, settings=settings), settings)
        if as_json:
            emit(checked.resolved())
        else:
            print(checked.to_yaml(), end="")
        return

    with working(f"reading {recipe}"):
        from lab.recipe import load
        from lab.registry import find_recipe
        from lab.runner.fit import fit
        from lab.tracking.redaction import without_password
        from lab.tracking.server import DEFAULT_URI

        loaded = load(find_recipe(recipe, settings=settings), settings)
        result = fit(loaded, offline)
    if as_json:
        emit(replace(result, uri=without_password(result.uri)))
    else:
        print_result(result, at=DEFAULT_URI if offline else loaded.track.uri, then=["lab sync"] if offline else [])


def _repeat(
    recipe: str,
    settings: Sequence[str],
    seeds: int | None,
    folds: int | None,
    name: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Train one recipe with several seeds, or on several folds."""
    with working(f"reading {recipe}"):
        from lab.registry import find_recipe
        from lab.study.repeated import train_repeatedly

        file = find_recipe(recipe, settings=settings)
        found = train_repeatedly(file, settings, seeds=seeds, folds=folds, name=name, workers=workers)
    study = found.study.plan.name
    for line in found.warnings:
        note(line)
    if as_json:
        emit({"study": study, "state": found.state, "results": found.results, "summary": found.summary})
    else:
        lines = [[name, run, *map(number, values)] for name, run, values in found.rows]
        table([found.kind.upper(), "RUN", *found.summary], lines)
        then = f"lab compare {shlex.quote(study)}" if found.kind == "seed" else "lab ui"
        tell(f"{found.note}\nnext\n  {then if found.results else 'lab studies'}")
    if found.missing:
        raise LabError(found.missing)


def resume(
    run: words.Run,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="a.b=v", help="Settings that may change, such as data.path=/new/folder."),
    ] = None,
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """Resume an interrupted run, with the same result as without the interruption."""
    with working(f"looking for run {run}"):
        from lab.runner.resume import resume as go_on
        from lab.tracking.redaction import without_password

        result = go_on(run, uri, overrides=overrides or ())
    if as_json:
        emit(replace(result, uri=without_password(result.uri)))
    else:
        print_result(result, at=uri)
