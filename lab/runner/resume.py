"""A run that was interrupted goes on: the same MLflow run, from its newest checkpoint that can be read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import BadInput
from lab.runner.recorded import recipe_of
from lab.runner.results import find_run
from lab.tracking.server import client, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from lab.engine.pruning import PruningCallback
    from lab.recipe import Recipe
    from lab.runner.assembly import Assembly
    from lab.runner.results import RunResult
    from lab.tracking.logger import Tracker

DECISIVE = {"lab.version": "version of lab", "mlflow.source.git.commit": "commit", "hardware": "machine"}


def resume(run: str, uri: str | None = None, watch: PruningCallback | None = None) -> RunResult:
    """Goes on with a run that was killed, stopped or failed, from its newest checkpoint, or from its beginning.

    Args:
        run: id, unique start of one, name, or `last`.
        uri: the tracking server.
        watch: hears how the run goes.

    Raises:
        BadInput: no such run, it has finished, or a process is still working on it.
        LabError: no checkpoint of it can be read, or what `lab.runner.fit.fit` raises.
    """
    found = find_run(run, uri)
    run_id, tags = found.info.run_id, found.data.tags
    if found.info.status == "FINISHED":
        raise BadInput(f"run {run_id[:8]} is finished; lab eval {run_id[:8]} tests it again")
    server = client(tracking_uri(uri))
    recipe = _recipe(found, server, uri)
    from lab.tracking.logger import Tracker

    experiment = server.get_experiment(found.info.experiment_id).name
    tracker = Tracker(tracking_uri(uri), experiment, found.info.run_name, tags, resume=run_id)  # now it is ours
    try:
        assembly, checkpoint = _restored(found, recipe, tracker)
    except BaseException:
        tracker.finish("FAILED")
        raise
    from lab.runner.fit import execute

    return execute(assembly, tracker, checkpoint, watch)


def _recipe(found: Run, server: MlflowClient, uri: str | None) -> Recipe:
    """The recipe that the run recorded; one that its server does not have yet is sent first."""
    try:
        return recipe_of(found, server)
    except BadInput:
        from lab.tracking.sync import sync

        sent = sum(report.sent for report in sync(found.info.run_id, uri))
        if not sent:
            raise
        return recipe_of(found, server)


def _restored(found: Run, recipe: Recipe, tracker: Tracker) -> tuple[Assembly, Path | None]:
    """The run's objects, and the checkpoint to go on from; says aloud what is not as it was."""
    from lab.runner.assemble import assemble

    assembly = assemble(recipe)
    from lab.engine.checkpoint import usable
    from lab.runner import record
    from lab.runner.weights import begin

    then, now = found.data.tags, record.tags(assembly)
    for tag, what in DECISIVE.items():
        if then.get(tag) != now.get(tag):
            print(f"another {what} ({now.get(tag)}, was {then.get(tag)}): the numbers may differ", file=sys.stderr)
    checkpoint = usable(tracker.checkpoints if tracker.run_id else Path(then["lab.checkpoints"]))
    if checkpoint is None:
        print(f"run {found.info.run_id[:8]} has no checkpoint yet; it starts from the beginning", file=sys.stderr)
        assembly = begin(assembly, tracker.uri)
        tracker.rewind(0)
    return assembly, checkpoint
