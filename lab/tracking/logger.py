"""One run in MLflow, as Lightning's logger: everything goes into a journal first, and from there to the server."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from lab.errors import BadInput
from lab.sentences import note
from lab.tracking.experiment import Experiment
from lab.tracking.journal import OFFLINE_TARGET, OWN_SERVER, POINTS, Identity, Journal, Point, identity
from lab.tracking.mirror.mirrors import Mirrors
from lab.tracking.names import INTERNAL, metric_name, model_name
from lab.tracking.redaction import redact, without_password
from lab.tracking.remote_run import RemoteRun
from lab.tracking.sender import Sender
from lab.tracking.server import client, connecting, experiment_id, local_artifacts, local_folder, run_of_id
from lab.tracking.verbs import LOGS, LoggerVerbs, files_in

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

FLUSH_SECONDS = 2.0
FINISH_TIMEOUT = 5.0  # seconds that the end of a run waits for a server that does not answer
CHECKPOINTS, OUTBOX = f"{INTERNAL}checkpoints", f"{INTERNAL}outbox"  # tags: where a resumed run finds its own


class Tracker(LoggerVerbs):
    """A run in MLflow that outlives its server.

    What is logged lands in memory; a thread writes it to the journal every two seconds, another one sends the journal
    to the server, and training waits for neither. What could not be sent is kept for `lab sync`. The x-axis of metrics
    is the `step` that a module logs, and otherwise Lightning's count of batches. Only the first process of several has
    a run; in the others `run_id` is empty and every method does nothing.

    Args:
        uri: tracking server, see `lab.tracking.server.tracking_uri`.
        experiment: name of the experiment, made if missing.
        run_name: name of the run.
        tags: the run's tags.
        resume: id of a run to go on with; its own experiment, name and tags stay as they are.
        offline_for: the server that the run is meant for, to which `lab sync` sends a copy later.

    Raises:
        BadInput: the run to go on with does not exist, is finished, or another process is working on it.
        LabError: the server cannot be reached or refuses the run.
        OSError: the journal cannot be written.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        run_name: str,
        tags: Mapping[str, str],
        *,
        resume: str | None = None,
        offline_for: str | None = None,
    ) -> None:
        super().__init__()
        self.uri, self._experiment_name, self.run_id = uri, experiment, ""
        self._offline, self._meant_for = offline_for is not None, offline_for or uri
        self._memory: list[Point] = []  # adding to and cutting off a list needs no lock
        self._repeats: Counter[Identity] = Counter()
        self._newest: dict[str, Identity] = {}  # of each metric
        self._mirrors: Mirrors | None = None
        self._lock = threading.RLock()
        self._ended = threading.Event()
        if getattr(rank_zero_only, "rank", 0) > 0:
            return
        server = client(uri)
        outbox = local_folder(uri) / "outbox"
        outbox.mkdir(parents=True, exist_ok=True)
        with connecting(uri):
            run = run_of_id(server, resume) if resume else self._created(server, run_name, tags)
        self.artifacts = run.info.artifact_uri
        self.folder = local_artifacts(self.artifacts)
        self.run_id, self._run_name = run.info.run_id, run.info.run_name
        self.home, beside = outbox / self.run_id, local_folder(uri) / "checkpoints" / self.run_id
        self.checkpoints = self.folder / "checkpoints" if self.folder else beside
        if resume:  # perhaps from another folder than before
            self.home = _existing(run.data.tags.get(OUTBOX)) or self.home
            self.checkpoints = _existing(run.data.tags.get(CHECKPOINTS)) or self.checkpoints
        self._journal = Journal(self.home)
        if resume:  # it may have ended between the first look and the lock
            run = run_of_id(server, resume)
        self._open(run, offline_for, resumed=resume is not None)
        self._client = Experiment(self)
        self._folder = self.folder / LOGS if self.folder else self.home.parent.parent / LOGS / self.run_id
        remote = RemoteRun(server, self.run_id, self.home, self.folder)
        self._sender = Sender(self._journal, remote, OWN_SERVER, FLUSH_SECONDS)
        self._writer = threading.Thread(target=self._write_on, name="tracker-writer", daemon=True)
        self._writer.start()

    @property
    @rank_zero_experiment
    def experiment(self) -> Experiment:
        """An MLflow client to use with `run_id`, as with Lightning's own logger; what it writes is sent in order."""
        return self._client

    @property
    def name(self) -> str:
        return self._experiment_name

    @property
    def version(self) -> str:
        return self.run_id

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        now = int(time.time() * 1000)
        self._step = self.step_of(step)
        self.log_points([(name, float(value), now, int(step or 0)) for name, value in metrics.items()])

    @rank_zero_only
    def mirror(self, kinds: Sequence[str]) -> None:
        """From now on the run is copied to each of these as well, see `lab.tracking.mirror`."""
        if kinds:
            base, name = self.home.parent.parent / "mirror", self._run_name
            self._mirrors = Mirrors(self._journal, kinds, base, self._experiment_name, name, self.run_id)

    def has_metric(self, name: str) -> bool:
        """Whether a metric of this name was logged; in a resumed run, whether one was by the checkpoint or since."""
        return metric_name(name) in self._newest

    def log_points(self, points: Sequence[Point]) -> None:
        """Metrics with times of their own; those that a resumed run repeats are known already.

        So are those that say again what the newest one said, as Lightning's `epoch` does at every call: MLflow would
        keep one or both, as they fall into the same millisecond or not.
        """
        for given, value, milliseconds, step in points:
            name = metric_name(given)
            point = (name, value, milliseconds, step)
            if self._newest.get(name) == identity(point):
                continue
            self._newest[name] = identity(point)
            if self._repeats[identity(point)] > 0:
                self._repeats[identity(point)] -= 1
            else:
                self._memory.append(point)

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: `lab.runner.record` logs the whole resolved recipe at the start."""

    @rank_zero_only
    def log_params(self, params: Mapping[str, Any]) -> None:
        self.write(op="params", params={name: self._clean(value) for name, value in params.items()})

    @rank_zero_only
    def set_tag(self, key: str, value: Any) -> None:
        self.write(op="tag", key=key, value=self._clean(value))

    @rank_zero_only
    def log_dataset(self, name: str, digest: str, context: str, **about: str) -> None:
        """Records data of the run, in a `context` such as `training`; `about` is what MLflow's Dataset takes."""
        self.write(op="dataset", dataset={"name": name, "digest": digest, **about}, context=context)

    @rank_zero_only
    def log_model(self, folder: Path, name: str) -> None:
        """Keeps a model saved in `folder`, within `home`, by a `name`; what MLflow allows in none becomes `-`."""
        self.write(op="model", folder=str(folder.relative_to(self.home)), name=model_name(name))

    def write(self, **operation: Any) -> None:
        """Adds an operation to the journal, behind everything logged so far; `op` says of which kind it is."""
        with self._lock:
            self._write()
            self._journal.append(operation)

    def position(self) -> int:
        """Writes down everything logged so far, to survive a power cut; returns the length of the journal in bytes."""
        if not self.run_id:
            return 0
        with self._lock:
            self._write()
            return self._journal.sync()

    @rank_zero_only
    def rewind(self, position: int) -> None:
        """Training goes on from where the journal had this length: metrics it repeats are not written down again."""
        begun = min(position, self._journal.length)
        self._newest = {point[0]: identity(point) for point in self._journal.points(0, begun)}
        self._repeats = Counter(map(identity, self._journal.points(begun)))

    def next_step(self, prefix: str) -> int:
        """The first step that no metric with this prefix has, for a counter that goes on in a resumed run."""
        return max((step for key, _, _, step in self._journal.points() if key.startswith(prefix)), default=-1) + 1

    def written(self) -> Journal:
        """The journal, after everything logged so far was written to it."""
        self.position()
        return self._journal

    def waiting(self) -> int:
        """Operations that were not delivered yet."""
        if not self.run_id:
            return 0
        return self._journal.waiting(OFFLINE_TARGET if self._offline else OWN_SERVER) + bool(self._memory)

    @rank_zero_only
    def finish(self, status: str) -> None:
        """Ends the run as `FINISHED`, `FAILED` or `KILLED` and sends what is left, as far as the server answers.

        A second call does nothing. May be called from another thread while this one is caught in a signal handler.
        """
        if self._ended.is_set():
            return
        self._ended.set()
        last_words = threading.current_thread() is not threading.main_thread()
        owned = self._lock.acquire(timeout=0.5 if last_words else -1)  # its holder may have been stopped for good
        try:
            self._write()
            self._keep_files()
            self._journal.append({"op": "end", "status": status, "time": int(time.time() * 1000)})
            self._journal.sync()
        except OSError as error:
            note(f"run {self.run_id[:8]}: {error}; its last metrics are lost")
        finally:
            if owned:
                self._lock.release()
        try:
            self._sender.finish(FINISH_TIMEOUT)
            if self._mirrors is not None:
                self._mirrors.finish(FINISH_TIMEOUT)
        finally:  # also if somebody interrupts the waiting
            waiting = self.waiting()
            if waiting:
                note(f"{waiting} operations are not sent yet ({self.home}); lab sync sends them")
            if status == "FINISHED" and not waiting:
                self._journal.remove()
            else:
                self._journal.close()

    def _created(self, server: MlflowClient, run_name: str, tags: Mapping[str, str]) -> Run:
        experiment = experiment_id(server, self._experiment_name, self.uri)
        return server.create_run(experiment, run_name=run_name, tags={k: self._clean(v) for k, v in tags.items()})

    def _open(self, run: Run, offline_for: str | None, resumed: bool) -> None:
        """The journal's first line, and those that a resumed run begins with."""
        if resumed and run.info.status == "FINISHED":
            self._journal.remove()
            raise BadInput(f"run {self.run_id[:8]} is finished")
        header = next((operation for operation, _ in self._journal.read()), None)
        if header is None:
            target = without_password(offline_for) if offline_for else None
            about = {"run_id": self.run_id, "experiment": self._experiment_name, "name": run.info.run_name}
            times = {"time": run.info.start_time, "uri": without_password(self.uri), "offline_for": target}
            self.write(op="start", **about, tags=run.data.tags, **times)
            self.set_tag(CHECKPOINTS, self.checkpoints)
            self.set_tag(OUTBOX, self.home)
        else:
            self._offline = header.get("offline_for") is not None
        if resumed:
            if self._journal.ended() == "FINISHED":
                self._journal.close()
                raise BadInput(f"run {self.run_id[:8]} is finished; lab sync sends the rest of it")
            self.write(op="resume")
        self._journal.sync()

    def _clean(self, value: Any) -> str:
        """As text, without the passwords of the addresses that this run knows."""
        return redact(redact(str(value), self.uri), self._meant_for)

    def _write(self) -> None:
        """Moves what is in memory to the journal; the caller holds the lock."""
        while points := self._memory[:POINTS]:
            self._journal.append({"op": "metrics", "metrics": points})
            del self._memory[: len(points)]

    def _write_on(self) -> None:
        while not self._ended.wait(FLUSH_SECONDS):
            with self._lock, suppress(OSError):  # a full disk may have room the next time; `finish` says so if not
                self._write()

    def _keep_files(self) -> None:
        """Has sent what lies on this machine alone: of an offline run the checkpoints, and what a project wrote."""
        files = [self.checkpoints / name for name in ("best.ckpt", "last.ckpt")] if self._offline else []
        places = {file: "checkpoints" for file in files if file.exists()}
        logs = self._folder
        if logs is not None and (self._offline or self.folder is None):
            places |= {file: str(Path(LOGS, file.parent.relative_to(logs))) for file in files_in(logs)}
        for file, place in places.items():
            self._journal.append({"op": "artifact", "file": str(file), "to": place})
        with suppress(OSError):  # missing, or not empty
            if logs is not None:
                logs.rmdir()


def _existing(folder: str | None) -> Path | None:
    return Path(folder) if folder and Path(folder).is_dir() else None
