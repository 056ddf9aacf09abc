"""A run on an MLflow server, as the destination of a journal's operations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.sentences import note
from lab.tracking.client import CONTEXT
from lab.tracking.journal import Operation
from lab.tracking.names import DESCRIPTION
from lab.tracking.redaction import mask_secrets, without_password
from lab.tracking.sender import ServerUnavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PICTURE = "](get-artifact?path="  # in a description that shows a picture of the run
SCORES = ("test", "best/")  # how the names of a trained model's metrics begin
PARAMS = 100  # in one request, MLflow's own limit
RETRYABLE = {401, 403, 408, 409, 425, 429, 499}  # refusals that do not mean the operation itself


class Refused(Exception):
    """The server is well and does not want this operation: it is left out."""


class RemoteRun:
    """A run on an MLflow server.

    Args:
        server: a client of it.
        run_id: the run there.
        folder: where the journal and its copies of files are.
        artifacts: the run's artifacts if they lie on this machine; a file in there needs no sending.
    """

    def __init__(self, server: MlflowClient, run_id: str, folder: Path, artifacts: Path | None) -> None:
        self._server, self._run_id, self._folder, self._artifacts = server, run_id, folder, artifacts
        self._refused: set[tuple[str, str]] = set()
        self.uploading = False

    def send(self, operations: Sequence[Operation]) -> bool:
        operation = operations[0]
        try:
            with self._classified_errors():
                self._send_one(operation["op"], operations)
        except Refused as error:
            what = operation.get("file") or operation.get("key") or operation["op"]
            note(f"{self._address} refuses {what} of run {self._run_id[:8]}, it is left out: {error}")
            return False
        return True

    def _send_one(self, kind: str, operations: Sequence[Operation]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

        operation, server, run_id = operations[0], self._server, self._run_id
        if kind == "metrics":
            self._log_batch("metrics", [Metric(*point) for operation in operations for point in operation["metrics"]])
        elif kind == "params":
            params = [Param(*pair) for pair in operation["params"].items()]
            for start in range(0, len(params), PARAMS):
                self._log_batch("params", params[start : start + PARAMS])
        elif kind == "tag":
            server.set_tag(run_id, operation["key"], operation["value"])
        elif kind == "describe":
            self._describe(operation["text"], operation["instead_of"])
        elif kind == "artifact":
            self._artifact(operation)
        elif kind == "dataset":
            about = [InputTag(CONTEXT, operation["context"])] if operation["context"] else []
            server.log_inputs(run_id, [DatasetInput(Dataset(**operation["dataset"]), about)])
        elif kind == "model":
            self._model(operation)
        elif kind == "resume":
            server.update_run(run_id, status="RUNNING")
        elif kind == "end":
            server.set_terminated(run_id, operation["status"], operation["time"])
        elif kind != "start":
            raise Refused("it cannot be read")

    def _log_batch(self, kind: str, entries: list[Any]) -> None:
        """One request; if it is refused, half of it, until only what the server means is left out."""
        entries = [entry for entry in entries if (kind, entry.key) not in self._refused]
        try:
            with self._classified_errors():
                if entries:
                    metrics, params = (entries, []) if kind == "metrics" else ([], entries)
                    self._server.log_batch(self._run_id, metrics, params)
        except Refused as error:
            if len(entries) > 1:
                middle = len(entries) // 2
                self._log_batch(kind, entries[:middle])
                self._log_batch(kind, entries[middle:])
                return
            name = entries[0].key
            self._refused.add((kind, name))  # its later values would be refused as well
            note(f"{self._address} refuses {kind.rstrip('s')} {name!r}, it is left out: {error}")

    def _describe(self, text: str, instead_of: str) -> None:
        """The text of the run's page, unless a project has described the run itself.

        It shows a picture of this run, which has another id on another server.
        """
        there = self._server.get_run(self._run_id).data.tags.get(DESCRIPTION, "")
        if there in ("", instead_of) or PICTURE in there:
            self._server.set_tag(self._run_id, DESCRIPTION, text.replace(self._folder.name, self._run_id))

    def _artifact(self, operation: Operation) -> None:
        file = self._folder / operation["file"]
        if self._artifacts is not None and file.is_relative_to(self._artifacts):
            return
        with self._upload():
            self._server.log_artifact(self._run_id, str(file), operation["to"] or None)

    def _model(self, operation: Operation) -> None:
        """Makes or finds the run's logged model of this name, and gives it the files and a place in the run."""
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model

        server, run_id, name, folder = self._server, self._run_id, operation["name"], self._folder / operation["folder"]
        run = server.get_run(run_id)
        experiment = run.info.experiment_id
        search = f"name = '{name}' AND source_run_id = '{run_id}'"
        found = next(iter(server.search_logged_models([experiment], filter_string=search)), None)
        model = found or server.create_logged_model(experiment, name, run_id, params=run.data.params)
        card = Model.load(str(folder))
        card.model_id = card.model_uuid = model.model_id
        card.run_id, card.artifact_path = run_id, model.artifact_location
        card.save(str(folder / "MLmodel"))
        with self._upload():
            server.log_model_artifacts(model.model_id, str(folder))
        outputs = run.outputs.model_outputs if run.outputs else []
        if model.model_id not in {output.model_id for output in outputs}:
            server.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        self._log_scores(run, model.model_id)
        server.finalize_logged_model(model.model_id, "READY")

    def _log_scores(self, run: Run, model_id: str) -> None:
        """Gives the model the metrics of the test and of the best checkpoint, for the columns of the page of models."""
        from mlflow.entities import Metric

        server, inputs = self._server, run.inputs.dataset_inputs if run.inputs else []
        data: dict[str, Any] = {}
        if inputs:
            data = {"dataset_name": inputs[0].dataset.name, "dataset_digest": inputs[0].dataset.digest}
        metrics = []
        for name in (name for name in run.data.metrics if name.startswith(SCORES)):
            newest = max(server.get_metric_history(self._run_id, name), key=lambda each: (each.step, each.timestamp))
            place = newest.timestamp, newest.step  # the same point again, which the run has once
            metrics.append(Metric(name, newest.value, *place, model_id=model_id, run_id=self._run_id, **data))
        if metrics:
            server.log_batch(self._run_id, metrics)

    @contextmanager
    def _upload(self) -> Iterator[None]:
        """Files may take long, but only to a server that answers."""
        self._server.get_run(self._run_id)
        self.uploading = True
        try:
            yield
        finally:
            self.uploading = False

    @contextmanager
    def _classified_errors(self) -> Iterator[None]:
        """Tells a refusal, which would come again every time, from everything that may pass."""
        try:
            yield
        except (ServerUnavailable, Refused):
            raise
        except Exception as error:  # MLflow's, those of requests, of the database's driver, of the artifact store
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            reason = mask_secrets(said, self._server.tracking_uri)
            status = _status(error)
            if status not in RETRYABLE and 400 <= status < 500 and self._is_active():
                raise Refused(reason) from None
            raise ServerUnavailable(reason) from None

    def _is_active(self) -> bool:
        """Whether the server answers for the run at all: it may have been deleted, or the database changed."""
        try:
            return bool(self._server.get_run(self._run_id).info.lifecycle_stage == "active")
        except Exception:
            return False

    @property
    def _address(self) -> str:
        return without_password(self._server.tracking_uri)


def _status(error: Exception) -> int:
    """The HTTP status that the error stands for; 503 for what says nothing of the kind."""
    from mlflow.exceptions import MlflowException
    from requests import HTTPError

    if isinstance(error, MlflowException):
        return int(error.get_http_status_code())
    if isinstance(error, HTTPError) and error.response is not None:
        return int(error.response.status_code)
    if isinstance(error, FileNotFoundError | ImportError):  # a file that is gone, a store whose package is missing
        return 400
    return 503
