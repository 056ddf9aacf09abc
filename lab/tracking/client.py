"""The MLflow client that modules find as `logger.experiment`: what it writes into its run goes through the journal."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repo import verify_artifact_path

from lab.tracking.journal import Point

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, LoggedModelInput, Metric, Param, RunTag


CONTEXT = "mlflow.data.context"  # tag of a dataset: for what the run uses it


class JournaledRun(Protocol):
    """A run whose record goes through a journal.

    Attributes:
        uri: its tracking server.
        run_id: its id there.
        home: the folder of its journal.
        folder: its artifacts if they lie on this machine; None if they have to be sent.
        checkpoints: the folder of its checkpoints.
        name: its experiment.
        log_dir: its folder for what a project writes by itself.
    """

    uri: str
    run_id: str
    home: Path
    folder: Path | None
    checkpoints: Path

    @property
    def name(self) -> str: ...
    @property
    def log_dir(self) -> str | None: ...
    def log_points(self, points: Sequence[Point]) -> None: ...
    def log_numbers(self, numbers: Mapping[str, Any], step: int | None, seconds: float | None = None) -> None: ...
    def step_of(self, step: int | None) -> int: ...
    def log_params(self, params: Mapping[str, Any]) -> None: ...
    def set_tag(self, key: str, value: Any) -> None: ...
    def log_dataset(self, name: str, digest: str, context: str, **about: str) -> None: ...
    def write(self, **operation: Any) -> None: ...


class JournalingClient(MlflowClient):
    """MlflowClient for one run: figures, texts, images, metrics, parameters and tags do not wait for the server.

    MLflow's own `log_text`, `log_dict`, `log_figure`, `log_image`, `log_table` and `log_stream` end in `log_artifact`.
    What is read, what is written into another run, and whatever is rarer goes to the server at once.

    Args:
        tracker: the run.
    """

    def __init__(self, tracker: JournaledRun) -> None:
        super().__init__(tracking_uri=tracker.uri)
        self._tracker = tracker

    def log_metric(
        self,
        run_id: str,
        key: str,
        value: float,
        timestamp: int | None = None,
        step: int | None = None,
        *rest: Any,
        **more: Any,
    ) -> Any:
        if run_id != self._tracker.run_id:
            return super().log_metric(run_id, key, value, timestamp, step, *rest, **more)
        self._tracker.log_points([(key, float(value), timestamp or int(time.time() * 1000), int(step or 0))])
        return None

    def log_param(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> Any:
        if run_id != self._tracker.run_id:
            return super().log_param(run_id, key, value, synchronous)
        self._tracker.log_params({key: value})
        return value

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> Any:
        if run_id != self._tracker.run_id:
            return super().set_tag(run_id, key, value, synchronous)
        self._tracker.set_tag(key, value)
        return None

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
        synchronous: bool | None = None,
    ) -> Any:
        if run_id != self._tracker.run_id:
            return super().log_batch(run_id, metrics, params, tags, synchronous)
        self._tracker.log_points([(m.key, float(m.value), m.timestamp, m.step) for m in metrics])
        if params:
            self._tracker.log_params({param.key: param.value for param in params})
        for tag in tags:
            self._tracker.set_tag(tag.key, tag.value)
        return None

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        if run_id != self._tracker.run_id:
            super().log_artifact(run_id, local_path, artifact_path)
        elif Path(local_path).is_dir():
            name = Path(local_path).resolve().name
            self.log_artifacts(run_id, local_path, str(PurePosixPath(artifact_path or "", name)))
        else:
            verify_artifact_path(artifact_path)
            self._keep(Path(local_path).absolute(), artifact_path or "")

    def log_artifacts(self, run_id: str, local_dir: str, artifact_path: str | None = None) -> None:
        if run_id != self._tracker.run_id:
            super().log_artifacts(run_id, local_dir, artifact_path)
            return
        verify_artifact_path(artifact_path)
        for file in sorted(path for path in Path(local_dir).rglob("*") if path.is_file()):
            folder = PurePosixPath(artifact_path or "", file.parent.relative_to(local_dir).as_posix())
            self._keep(file.absolute(), "" if folder == PurePosixPath() else str(folder))

    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[DatasetInput] | None = None,
        models: Sequence[LoggedModelInput] | None = None,
    ) -> None:
        if run_id != self._tracker.run_id:
            super().log_inputs(run_id, datasets, models)
            return
        for each in datasets or ():
            context = next((tag.value for tag in each.tags or () if tag.key == CONTEXT), "")
            about = {key: value for key, value in dict(each.dataset).items() if value is not None}
            self._tracker.log_dataset(about.pop("name"), about.pop("digest"), context, **about)
        if models:
            super().log_inputs(run_id, None, models)

    def write_artifact(self, name: str, content: bytes) -> None:
        """Makes `content` the run's artifact of this name, such as `images/a.png`, in place of one that is there."""
        path = PurePosixPath(name)
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / path.name
            draft.write_bytes(content)
            self._keep(draft, "" if path.parent == PurePosixPath() else str(path.parent))

    def _keep(self, file: Path, folder: str) -> None:
        """Puts a file among the artifacts if they lie on this machine, else copies it, to be sent.

        One among the run's own checkpoints is sent from where it is: they are large, and are never changed in place.
        """
        tracker, place = self._tracker, file
        if tracker.folder is not None:
            place = tracker.folder / folder / file.name
            copy(file, place)
        elif not file.is_relative_to(tracker.checkpoints):
            (tracker.home / "files").mkdir(exist_ok=True)
            place = Path(tempfile.mkdtemp(dir=tracker.home / "files")) / file.name
            copy(file, place)
        name = place.relative_to(tracker.home) if place.is_relative_to(tracker.home) else place
        tracker.write(op="artifact", file=str(name), to=folder)

    def _log_artifact_async_helper(self, run_id: str, artifact_file: str, artifact: Any) -> None:
        """Of `log_image`: nothing waits here anyway."""
        with self._log_artifact_helper(run_id, artifact_file) as path:
            artifact.save(path)


def copy(file: Path, place: Path) -> None:
    """Copies a file so that `place` is never half of it.

    Raises:
        OSError: it cannot be read, or the place cannot be written.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists() and place.samefile(file):
        return
    draft = place.with_name(f".{place.name}.draft")
    try:
        shutil.copyfile(file, draft)
        draft.replace(place)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
