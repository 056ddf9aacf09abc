"""One training of one trial: what a worker is given, does, and answers. The same function runs under every launcher."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from lab.errors import LabError
from lab.tracking.journal import RunInUse

PATIENCE = 90.0  # seconds to wait for another process to leave a run


@dataclass(frozen=True)
class Job:
    """A training to be done. It can be sent to another machine.

    Args:
        trial: number of the trial.
        seed: the recipe's seed.
        name: the run's name.
        recipe: the whole recipe, overrides and tags included, as YAML.
        uri: the tracking server.
        run_id: a run of this very job that was interrupted, to go on with.
        watched: whether validations are reported, and may end the run.
    """

    trial: int
    seed: int
    name: str
    recipe: str
    uri: str
    run_id: str | None = None
    watched: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """Trial and seed, which no other job of the study has."""
        return self.trial, self.seed


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        status: `stopped` is one that was told to, and can be gone on with.
        metrics: the final metrics, if it finished.
        run_id: the run, if it began.
        reason: why it failed, on one line.
        seconds: wall time of training alone.
    """

    status: Literal["finished", "failed", "pruned", "stopped"]
    metrics: Mapping[str, float] = field(default_factory=dict)
    run_id: str | None = None
    reason: str = ""
    seconds: float = 0.0


class Line(Protocol):
    """What a job can say to the one who gave it."""

    def started(self, run_id: str) -> None:
        """The run has this id."""

    def validated(self, position: int, metrics: Mapping[str, float]) -> bool:
        """A validation; true if the run shall end."""


Work = Callable[[Job, Line], Outcome]


def train(job: Job, line: Line) -> Outcome:
    """Trains a job, from its beginning or on from where it was interrupted; never raises an Exception."""
    from lab.engine.pruning import Pruned, PruningCallback
    from lab.recipe import load
    from lab.runner.fit import fit
    from lab.runner.resume import resume

    run_id = job.run_id

    def started(found: str) -> None:
        nonlocal run_id
        run_id = found
        line.started(found)

    watch = PruningCallback(started, line.validated if job.watched else lambda *_: False)
    try:
        if job.run_id is not None:
            done = _finished(job.run_id, job.uri)
            result: Any = done or _patiently(lambda: resume(str(job.run_id), job.uri, watch))
        else:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, f"{job.name}.yaml")
                file.write_text(job.recipe)
                recipe = load(file)
            result = fit(recipe, watch=watch)
        return Outcome("finished", result.metrics, result.run_id, seconds=result.seconds)
    except Pruned:
        return Outcome("pruned", run_id=run_id)
    except LabError as error:
        return Outcome("failed", run_id=run_id, reason=" ".join(str(error).split()))
    except Exception as error:
        return Outcome("failed", run_id=run_id, reason=" ".join(f"{type(error).__name__}: {error}".split()))
    except (KeyboardInterrupt, SystemExit):
        return Outcome("stopped", run_id=run_id)


def _patiently(go_on: Callable[[], Any]) -> Any:
    """Its last worker may still be saving: it was left alone by the one who gave it jobs."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return go_on()
        except RunInUse:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def _finished(run_id: str, uri: str) -> Any:
    """The result of a run whose worker died after it was finished, but before it could say so."""
    from lab.runner.results import find_run

    run = find_run(run_id, uri)
    if run.info.status != "FINISHED":
        return None
    metrics = dict(run.data.metrics)
    return Outcome("finished", metrics, run_id, seconds=metrics.get("seconds/fit", 0.0))
