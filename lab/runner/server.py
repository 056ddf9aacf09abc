"""Which MLflow server a run goes to, and a client of it; imports nothing heavy until the client is made."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from lab.errors import BadInput, LabError

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_URI = "sqlite:///mlflow.db"


def tracking_uri(uri: str | None = None) -> str:
    """The tracking server: `uri`, else MLFLOW_TRACKING_URI, else `mlflow.db` in this folder, as MLflow 3 has it.

    Raises:
        BadInput: it is a folder, or this folder holds runs in MLflow's old file format.
    """
    found = uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    if "://" not in found or found.startswith("file:"):
        raise BadInput(f"tracking in a folder ({found}) is gone from MLflow; use sqlite:///mlflow.db or a server")
    if found == DEFAULT_URI and any(Path("mlruns").glob("[0-9]*/meta.yaml")):
        step = "mlflow migrate-filestore --source . --target sqlite:///mlflow.db, then move the old folders away"
        raise BadInput(f"mlruns/ holds runs in MLflow's old file format; {step}")
    if found.startswith("sqlite:///") and found != "sqlite:///:memory:":
        # absolute: MLflow keeps one connection per address, whatever the current folder is by then
        return f"sqlite:///{Path(found.removeprefix('sqlite:///')).absolute()}"
    return found


def without_password(uri: str) -> str:
    """The address, for people to read: user name and password are left out."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri


def client(uri: str) -> MlflowClient:
    """A client of the tracking server.

    Raises:
        LabError: it cannot be reached.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for talkative in ("alembic", "mlflow"):  # importing MLflow sets its own levels
        logging.getLogger(talkative).setLevel(logging.WARNING)

    server = MlflowClient(tracking_uri=uri)
    try:
        server.search_experiments(max_results=1)
    except MlflowException as error:
        reason = str(error).splitlines()[0].replace(uri, without_password(uri))
        raise LabError(f"tracking server {without_password(uri)} cannot be reached: {reason}") from None
    return server


@contextmanager
def current(uri: str) -> Iterator[None]:
    """Makes `uri` MLflow's own current server while the block lasts, for what only its global functions can do."""
    import mlflow

    before, variable = mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)  # sets the environment variable as well
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        if variable is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        else:
            os.environ["MLFLOW_TRACKING_URI"] = variable
