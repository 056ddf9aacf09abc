"""The mirrors of a run: each is filled from the journal by a thread of its own, so that training does not wait."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module, metadata
from pathlib import Path

from lab.sentences import note
from lab.tracking.journal import Journal, Operation
from lab.tracking.names import safe_file_name
from lab.tracking.sender import Destination, Sender

SECONDS = 2.0  # between two deliveries
PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}  # what a mirror needs, and the extra that brings it


def missing(kind: str) -> str:
    """The command that installs a mirror's package; empty if it is installed."""
    package = PACKAGES.get(kind)
    try:
        if package is not None:
            metadata.version(package)
    except metadata.PackageNotFoundError:
        return f"{package} is not installed; pip install 'torch-lab[{kind}]'"
    return ""


class MirrorFailed(Exception):
    """A mirror could not be written."""


class Named:
    """A mirror whose errors say which one it was.

    Args:
        kind: its kind.
        mirror: the mirror.
    """

    def __init__(self, kind: str, mirror: Destination) -> None:
        self.kind, self.mirror = kind, mirror

    @property
    def uploading(self) -> bool:
        return self.mirror.uploading

    def send(self, operations: Sequence[Operation]) -> bool:
        try:
            return self.mirror.send(operations)
        except Exception as error:
            raise MirrorFailed(f"{self.kind} mirror: {error}") from error


class Mirrors:
    """Sends a journal to several mirrors until the run ends.

    Args:
        journal: the run's.
        kinds: `tensorboard`, `wandb` or `csv`.
        base: the folder of all runs' mirrors.
        experiment: the run's experiment.
        name: the run's name.
        run_id: the run.
    """

    def __init__(
        self, journal: Journal, kinds: Sequence[str], base: Path, experiment: str, name: str, run_id: str
    ) -> None:
        self._senders = []
        for kind in dict.fromkeys(kinds):
            folder = base / kind / safe_file_name(experiment) / f"{safe_file_name(name)}-{run_id[:8]}"
            folder.mkdir(parents=True, exist_ok=True)
            mirror = import_module(f"lab.tracking.mirror.{kind}_mirror")
            destination: Destination = mirror.Mirror(folder, journal.folder, experiment, name, run_id)
            if mirror.FROM_THE_START:
                journal.advance(f"mirror-{kind}", 0)
            self._senders.append(Sender(journal, Named(kind, destination), f"mirror-{kind}", SECONDS))
            note(f"mirror: {mirror.HOW_TO_LOOK.format(base=base / kind, folder=folder)}")

    def finish(self, timeout: float) -> None:
        """Delivers what is left, but waits no longer than `timeout` seconds for one that does not move."""
        for sender in self._senders:
            sender.finish(timeout)
