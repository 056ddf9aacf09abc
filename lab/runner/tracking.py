"""One run in MLflow, as Lightning's logger; metrics leave in batches from a thread, so that training never waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from lab.errors import BadInput
from lab.runner.server import client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

FLUSH_SECONDS = 2.0
BATCH = 1000  # MLflow's own limit of metrics per request


class Tracker(Logger):
    """A run in MLflow.

    Metrics keep the order they came in, and go out every two seconds from a thread of their own. Their x-axis is the
    `step` that a module logs, and otherwise Lightning's count of batches. Only the first process of several has a run.

    Args:
        uri: tracking server, see `lab.runner.server.tracking_uri`.
        experiment: name of the experiment, made if missing.
        run_name: name of the run.
        tags: the run's tags.

    Raises:
        LabError: the server cannot be reached or refuses the run.
    """

    def __init__(self, uri: str, experiment: str, run_name: str, tags: Mapping[str, str]) -> None:
        super().__init__()
        self.uri = uri
        self._experiment_name = experiment
        self._waiting: list[Metric] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.run_id = ""
        if rank() == 0:
            self._client = client(uri)
            run = self._client.create_run(self._experiment_id(), run_name=run_name, tags={**tags, "status": "RUNNING"})
            self.run_id, self.artifacts = run.info.run_id, run.info.artifact_uri
            self._thread = threading.Thread(target=self._run, name="tracker", daemon=True)
            self._thread.start()

    @property
    @rank_zero_experiment
    def experiment(self) -> MlflowClient:
        """The MLflow client; use it with `run_id`, as with Lightning's own MLflow logger."""
        return self._client

    @property
    def name(self) -> str:
        return self._experiment_name

    @property
    def version(self) -> str:
        return self.run_id

    @property
    def folder(self) -> Path | None:
        """The run's artifacts if they lie on this machine, else None."""
        parts = urlsplit(self.artifacts)
        return Path(parts.path) if parts.scheme in ("", "file") else None

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        found = [Metric(name, float(value), now, int(step or 0)) for name, value in metrics.items()]
        with self._lock:
            self._waiting += found

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the whole resolved recipe is logged at the start, see `lab.runner.record`."""

    @rank_zero_only
    def log_params(self, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        found = [Param(name, str(value)) for name, value in params.items()]
        for start in range(0, len(found), 100):
            self._client.log_batch(self.run_id, params=found[start : start + 100])

    @rank_zero_only
    def finish(self, status: str) -> None:
        """Sends what is left and ends the run as `FINISHED`, `FAILED` or `KILLED`."""
        self._stop.set()
        self._thread.join()
        self._flush()
        self._client.set_tag(self.run_id, "status", status)
        self._client.set_terminated(self.run_id, status)

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            try:
                self._flush()
            except Exception:  # the server may be back the next time; what is left waits, and `finish` will say so
                continue

    def _flush(self) -> None:
        while self._waiting:
            batch = self._waiting[:BATCH]
            self._client.log_batch(self.run_id, metrics=batch)
            with self._lock:
                del self._waiting[: len(batch)]

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._experiment_name)
        if found is not None and found.lifecycle_stage == "deleted":
            raise BadInput(f"experiment {self._experiment_name!r} is deleted; name another in track.experiment")
        if found is not None:
            return str(found.experiment_id)
        location = None
        if self.uri.startswith("sqlite:///"):  # beside the database, wherever that is
            folder = Path(self.uri.removeprefix("sqlite:///")).resolve().parent / "mlruns"
            location = str(folder / quote(self._experiment_name, safe=""))
        return self._client.create_experiment(self._experiment_name, artifact_location=location)


def rank() -> int:
    """Which of several processes this is; 0 is the one that has the run."""
    return int(getattr(rank_zero_only, "rank", 0))
