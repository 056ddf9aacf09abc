"""The record of a run, read back: its recipe, and its files."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import BadInput
from lab.recipe import Recipe, load_text, override

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def recipe_of(run: Run, server: MlflowClient, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe that the run recorded, under the run's own name.

    Raises:
        BadInput: it recorded none, or an override does not fit.
    """
    with tempfile.TemporaryDirectory() as folder:
        text = artifact(run, server, "recipe.yaml", folder).read_text(encoding="utf-8")
    place = f"recipe of run {run.info.run_id[:8]}"
    return load_text(text, place, [override("track.name", run.info.run_name), *overrides])


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
        raise BadInput(f"run {run_id[:8]} has no {name}; it may have ended before it was written") from None
