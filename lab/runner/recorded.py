"""The record of a run, read back: its recipe, and its files."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import BadInput, RecipeError
from lab.recipe import Recipe, load_text, override
from lab.tracking.names import INTERNAL

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


MOVED = f"{INTERNAL}moved"  # tag: what changed place while the run was interrupted, its overrides as JSON by key

# What may change while a run is interrupted: where things are, and how fast it goes. All else decides what is learnt.
MOVABLE = re.compile(
    r"threads|checkpoint(\.(seconds|steps))?|track\.system_metrics"
    r"|trainer\.(accelerator|enable_progress_bar|enable_model_summary|profiler)"
    r"|(data|model)\.(.*[._])?(path|root|dir|directory|folder|file|filename|num_workers|workers|pin_memory"
    r"|persistent_workers|prefetch_factor|download|cache)"
)


def override_key(text: str) -> str:
    """The dotted key of an override."""
    return text.partition("=")[0].strip()


def moved(run: Run, overrides: Sequence[str] = ()) -> dict[str, str]:
    """The overrides under which the run went on the last time, by key, with new ones of the kind."""
    try:
        recorded = json.loads(run.data.tags.get(MOVED, "{}"))
    except ValueError:
        recorded = {}
    known = recorded.values() if isinstance(recorded, dict) else ()
    texts = [text for text in known if isinstance(text, str) and MOVABLE.fullmatch(override_key(text))]
    return {override_key(text): text for text in (*texts, *overrides)}


def recipe_of(run: Run, server: MlflowClient, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe that the run recorded, under the run's own name, with what has changed place since.

    Raises:
        BadInput: it recorded none, or an override does not fit.
    """
    with tempfile.TemporaryDirectory() as folder:
        text = artifact(run, server, "recipe.yaml", folder).read_text(encoding="utf-8")
    place = f"recipe of run {run.info.run_id[:8]}"
    return load_text(text, place, [override("track.name", run.info.run_name), *moved(run).values(), *overrides])


def with_moved_data(error: RecipeError, recipe: Recipe, command: str) -> RecipeError:
    """The problems of a recorded recipe; those of its data with what to do if the data has moved.

    Args:
        error: its problems.
        recipe: of the run.
        command: takes overrides; an empty string if the command that failed takes none.
    """
    places = [f"data.{key}" for key, value in recipe.data.items() if MOVABLE.fullmatch(f"data.{key}") and value]
    problems = []
    for problem in error.problems:
        keys = [key for key in places if problem.key in (key, "data")]
        step = f"{command} {' '.join(f'{key}=...' for key in keys)}" if command else "put it back"
        advised = replace(problem, message=f"{problem.message}; if it has moved: {step}")
        problems.append(advised if keys else problem)
    return RecipeError(problems)


def artifact(run: Run, server: MlflowClient, name: str, folder: str | None = None) -> Path:
    """An artifact as a local file; one that is on this machine already is not copied.

    Raises:
        BadInput: the run has none of that name.
    """
    from mlflow.exceptions import MlflowException

    run_id = run.info.run_id
    try:
        return Path(server.download_artifacts(run_id, name, folder))
    except (MlflowException, OSError):
        raise BadInput(f"run {run_id[:8]} has no {name}; {_why(run)}") from None


def _why(run: Run) -> str:
    """The likely reason why a file of a run is missing, and the next step."""
    place = run.info.artifact_uri or ""
    again = f"train again: lab run {run.data.tags.get('recipe', 'RECIPE')}"
    if "://" not in place.removeprefix("file://") and not Path(place.removeprefix("file://")).exists():
        return f"its folder {place} was deleted or moved; put it back, or {again}"
    if run.info.status == "FINISHED":
        return f"the file was deleted; {again}"
    return f"it ended before that was written; {again}"
