"""The MLflow server of a run, and a client for it.

Imports nothing heavy until the client is made.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from lab.errors import BadInput, LabError
from lab.startup import importing
from lab.tracking import address
from lab.tracking.names import safe_file_name
from lab.tracking.redaction import keep_secret, mask_secrets, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

DEFAULT_URI = "sqlite:///mlflow.db"
WORKFLOW = "workflowType=machine_learning"  # MLflow opens on its pages about language models without it
FIRST_TIMEOUT = 10  # seconds a server may take to answer at all; MLflow itself waits two minutes, for uploads


def tracking_uri(uri: str | None = None) -> str:
    """The tracking server: `uri`, else MLFLOW_TRACKING_URI, else `mlflow.db` in this folder, as MLflow 3 has it.

    Raises:
        BadInput: nothing can be tracked there, or this folder holds runs in MLflow's old file format.
    """
    configured = os.environ.get("MLFLOW_TRACKING_URI")
    found = (uri or configured or DEFAULT_URI).strip()
    if wrong := address.problem(found):
        keep_secret(found)
        raise BadInput(f"MLFLOW_TRACKING_URI: {wrong}" if not uri and configured else wrong)
    if found == DEFAULT_URI and any(Path("mlruns").glob("[0-9]*/meta.yaml")):
        step = "mlflow migrate-filestore --source . --target sqlite:///mlflow.db, then move the old folders away"
        raise BadInput(f"mlruns/ holds runs in MLflow's old file format; {step}")
    if found.startswith("sqlite:///") and found != "sqlite:///:memory:":
        # absolute: MLflow keeps one connection per address, whatever the current folder is by then
        return f"sqlite:///{Path(found.removeprefix('sqlite:///')).absolute()}"
    return found


def has_runs(uri: str) -> bool:
    """Whether there can be runs: MLflow would make a database where there is none, even to read from it."""
    file = uri.removeprefix("sqlite:///")
    return file == uri or file == ":memory:" or Path(file).exists()


def no_runs(uri: str) -> str:
    """The error for a place without runs."""
    place = without_password(uri).removeprefix("sqlite:///").removeprefix(f"{Path.cwd()}/")
    return f"no runs in {place} yet; start one: lab run ddpg_pendulum"


def page(server: str, experiment_id: str | None = None, run_id: str | None = None) -> str:
    """The page of MLflow's interface about a run, about an experiment, or with all of them.

    Args:
        server: the address of the server, such as http://127.0.0.1:5000; a password in it is left out.
        experiment_id: MLflow's number of the experiment.
        run_id: MLflow's id of the run.
    """
    path = "/experiments" + (f"/{experiment_id}" if experiment_id else "") + (f"/runs/{run_id}" if run_id else "")
    return f"{without_password(server).rstrip('/')}/#{path}?{WORKFLOW}"


def curves_page(server: str, experiment_ids: Sequence[str], run_ids: Sequence[str], metrics: Sequence[str]) -> str:
    """The page of MLflow's interface with the curves of some metrics of some runs.

    MLflow's own page for a comparison takes no metrics from an address: it shows the first by their names.

    Args:
        server: the address of the server; a password in it is left out.
        experiment_ids: MLflow's numbers of the experiments.
        run_ids: MLflow's ids of the runs.
        metrics: at least one.
    """
    chosen = {
        "runs": run_ids,
        "experiments": experiment_ids,
        "metric": metrics[0],
        "plot_metric_keys": metrics,
        "plot_layout": {},
    }
    shown = "&".join(f"{name}={quote(json.dumps(value, separators=(',', ':')))}" for name, value in chosen.items())
    return f"{without_password(server).rstrip('/')}/#/metric?{shown}&x_axis=step&{WORKFLOW}"


def run_page(uri: str, run_id: str, experiment_id: str | None = None) -> str | None:
    """The page of a run for a browser; None for a database without a server, which `lab ui` starts.

    Args:
        uri: the tracking server or database.
        run_id: MLflow's id of the run.
        experiment_id: MLflow's number of its experiment; the server is asked if it is not given.

    Raises:
        LabError: the server cannot be reached, or has no such run.
    """
    if not uri.startswith(("http://", "https://")):
        return None
    with connecting(uri):
        return page(uri, experiment_id or run_of_id(client(uri), run_id).info.experiment_id, run_id)


def markdown_picture(run_id: str, path: str) -> str:
    """A picture among a run's artifacts in the Markdown of its description, under the address of MLflow's own pages."""
    return f"![{path}](get-artifact?path={quote(path, safe='')}&run_uuid={run_id})"


def local_folder(uri: str) -> Path:
    """`mlruns` on this machine: beside the database if that is an SQLite file, else in the current folder."""
    if uri.startswith("sqlite:///"):
        return Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlruns"
    return Path("mlruns").absolute()


def local_artifacts(uri: str) -> Path | None:
    """The folder of a run's artifacts if they lie on this machine, made if missing; else None."""
    if uri.startswith("file:"):
        folder = Path(url2pathname(urlsplit(uri).path))
    elif re.match(r"[a-z][\w+.-]*:", uri, re.I):
        return None
    else:
        folder = Path(uri)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a path on the server's machine
        return None
    return folder


@contextmanager
def connecting(uri: str) -> Iterator[None]:
    """For the first requests to a server: they fail soon, with one line, if it does not answer.

    Raises:
        LabError: it cannot be reached, or refuses.
    """
    keep_secret(uri)
    variable = "MLFLOW_HTTP_REQUEST_TIMEOUT"
    chosen = variable in os.environ
    os.environ.setdefault(variable, str(FIRST_TIMEOUT))
    try:
        yield
    except LabError:
        raise
    except Exception as error:  # MLflow's, and those of the database's driver
        reason = mask_secrets(_cause(error), uri)
        name = f"tracking server {without_password(uri)}"
        remote = uri.startswith(("http://", "https://"))
        if remote and 400 <= getattr(error, "get_http_status_code", lambda: 503)() < 500:
            raise LabError(f"{name} refuses: {reason}") from None
        step = "start the server, or track here for now: lab run ... --offline" if remote else "check its address"
        raise LabError(f"{name} cannot be reached: {reason}; {step}") from None
    finally:
        if not chosen:
            os.environ.pop(variable, None)


def client(uri: str) -> MlflowClient:
    """A client of the tracking server.

    Raises:
        LabError: it cannot be reached.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # it would print the address as it is
    with connecting(uri):
        with importing():
            from mlflow import MlflowClient

        for talkative in ("alembic", "mlflow"):  # importing MLflow sets its own levels
            logging.getLogger(talkative).setLevel(logging.WARNING)
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it warns before every second try
        with _locked_by_one_process(uri), _quickly_made(uri):
            server = MlflowClient(tracking_uri=uri)
            server.search_experiments(max_results=1)
    return server


@contextmanager
def _quickly_made(uri: str) -> Iterator[None]:
    """A new SQLite database is a copy of an empty one of this version of MLflow, which is kept once it made one.

    MLflow itself makes one of its first version and alters it in seventy steps, which takes a second each time.
    """
    file = Path(uri.removeprefix("sqlite:///"))
    if has_runs(uri) or "?" in file.name:
        yield
        return
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch-lab"
    kept = caches / f"mlflow-{metadata.version('mlflow')}.db"
    with suppress(OSError):  # then MLflow makes it
        try:
            if kept.exists():
                _copy_empty(kept, file)
        except sqlite3.Error:  # damaged
            kept.unlink()
    yield
    with suppress(OSError, sqlite3.Error):
        if not kept.exists():
            _copy_empty(file, kept)


def _copy_empty(source: Path, target: Path) -> None:
    """Copies a database without its experiments, of which MLflow makes the first one itself, with this folder in it.

    Raises:
        OSError, sqlite3.Error: it could not be copied, or is damaged; there is no target then.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(draft)) as new,
        ):
            old.backup(new)
            if new.execute("PRAGMA quick_check").fetchall() != [("ok",)]:
                raise sqlite3.DatabaseError(f"{source} is damaged")
            new.execute("DELETE FROM experiments")
            new.commit()
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _locked_by_one_process(uri: str) -> Iterator[None]:
    """One process at a time: two that find no tables in an SQLite database both make them, and one of them fails."""
    with ExitStack() as stack:
        if uri.startswith("sqlite:///"):
            with suppress(OSError):  # no such folder; and some file systems of networks have no locks
                folder = os.open(local_folder(uri).parent, os.O_RDONLY)
                stack.callback(os.close, folder)
                fcntl.flock(folder, fcntl.LOCK_EX)
        yield


def experiment_id(server: MlflowClient, name: str, uri: str) -> str:
    """The experiment of this name, made if missing; under an SQLite database its artifacts lie beside the database.

    Raises:
        BadInput: it was deleted.
    """
    found = server.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        raise BadInput(f"experiment {name!r} is deleted; name another in track.experiment")
    if found is not None:
        return str(found.experiment_id)
    beside = str(local_folder(uri) / safe_file_name(name)) if uri.startswith("sqlite:///") else None
    return server.create_experiment(name, artifact_location=beside)


def run_of_id(server: MlflowClient, run_id: str) -> Run:
    """The run of this id.

    Raises:
        BadInput: there is none.
    """
    from mlflow.exceptions import MlflowException

    try:
        return server.get_run(run_id)
    except MlflowException as error:
        if error.get_http_status_code() != 404:
            raise
        raise BadInput(f"no run {run_id}; lab runs lists them") from None


def _cause(error: Exception) -> str:
    """The first line of an error; of one that wraps others in words about pools and retries, the innermost reason."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    _, wrapped, inner = first.partition("(Caused by ")
    return inner.rpartition(": ")[2].strip("\"')") if wrapped else first


def user() -> str:
    """The name of whoever runs this; empty for a number without a name, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
