"""A run that was interrupted goes on: the same MLflow run, from its newest checkpoint that can be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import BadInput, Problem, RecipeError
from lab.recipe.schema import printable
from lab.runner.recorded import MOVABLE, MOVED, moved, override_key, recipe_of, with_moved_data
from lab.runner.results import find_run
from lab.sentences import note
from lab.tracking.names import INTERNAL
from lab.tracking.server import client, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from lab.engine.pruning import PruningCallback
    from lab.recipe import Recipe
    from lab.runner.assembly import Assembly
    from lab.runner.results import RunResult
    from lab.tracking.logger import Tracker

DECISIVE = {f"{INTERNAL}version": "version of lab", "mlflow.source.git.commit": "commit", "hardware": "machine"}


def resume(
    run: str, uri: str | None = None, watch: PruningCallback | None = None, overrides: Sequence[str] = ()
) -> RunResult:
    """Goes on with a run that was killed, stopped or failed, from its newest checkpoint, or from its beginning.

    Args:
        run: id, unique start of one, name, or `last`.
        uri: the tracking server.
        watch: hears how the run goes.
        overrides: settings that have changed since, such as the folder of the data.

    Raises:
        BadInput: no such run, it has finished, a process is still working on it, or an override would change what is
            learnt.
        LabError: no checkpoint of it can be read, or what `lab.runner.fit.fit` raises.
    """
    found = find_run(run, uri)
    run_id, tags = found.info.run_id, found.data.tags
    if found.info.status == "FINISHED":
        raise BadInput(f"run {run_id[:8]} is finished; lab eval {run_id[:8]} tests it again")
    server = client(tracking_uri(uri))
    _refuse(overrides, run_id)
    recipe = _recipe(found, server, uri, overrides)
    from lab.tracking.logger import Tracker

    experiment = server.get_experiment(found.info.experiment_id).name
    tracker = Tracker(tracking_uri(uri), experiment, found.info.run_name, tags, resume=run_id)  # now it is ours
    try:
        assembly, checkpoint = _restored(found, recipe, tracker)
    except BaseException as error:
        tracker.finish("FAILED")
        if isinstance(error, RecipeError):
            raise with_moved_data(error, recipe, f"lab resume {run_id[:8]}") from None
        raise
    if overrides:  # for the next time, and for whoever tests or plays the run
        tracker.set_tag(MOVED, json.dumps(moved(found, overrides)))
    from lab.runner.fit import execute

    try:
        return execute(assembly, tracker, checkpoint, watch)
    except RecipeError as error:
        raise with_moved_data(error, recipe, f"lab resume {run_id[:8]}") from None


def _refuse(overrides: Sequence[str], run_id: str) -> None:
    """Refuses what would change what is learnt.

    Raises:
        RecipeError: with every such override.
    """
    again = f"it decides what is learnt; start another run, with start_from.run={run_id[:8]} from these weights"
    keys = {override: override_key(override) for override in overrides}
    wrong = {override: key for override, key in keys.items() if not MOVABLE.fullmatch(key)}
    if wrong:
        raise RecipeError(
            Problem(f"override {printable(override)}", printable(key), f"cannot change while a run is resumed: {again}")
            for override, key in wrong.items()
        )


def _recipe(found: Run, server: MlflowClient, uri: str | None, overrides: Sequence[str]) -> Recipe:
    """The recipe that the run recorded; one that its server does not have yet is sent first."""
    try:
        return recipe_of(found, server, overrides)
    except BadInput:
        from lab.tracking.sync import sync

        sent = sum(report.sent for report in sync(found.info.run_id, uri))
        if not sent:
            raise
        return recipe_of(found, server, overrides)


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
            note(f"another {what} ({now.get(tag)}, was {then.get(tag)}): results may differ")
    checkpoint = usable(tracker.checkpoints if tracker.run_id else Path(then[f"{INTERNAL}checkpoints"]))
    if checkpoint is None:
        note(f"run {found.info.run_id[:8]} has no checkpoint yet; it starts from the beginning")
        assembly = begin(assembly, tracker.uri)
        tracker.rewind(0)
    return assembly, checkpoint
