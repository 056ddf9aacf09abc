"""One training of one trial: the job, its result, and the function that a worker calls under every launcher."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from lab.errors import LabError
from lab.stages import LOGGER, Progress
from lab.tracking.journal import RunInUse

PATIENCE = 90.0  # seconds to wait for another process to leave a run


@dataclass(frozen=True)
class Job:
    """A training to be done; it can be pickled and sent to another machine.

    Args:
        trial: number of the trial.
        seed: the recipe's seed.
        name: the run's name.
        recipe: the whole recipe, overrides and tags included, as YAML.
        uri: the tracking server.
        run_id: an interrupted run of this job, to resume.
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
class JobResult:
    """The result of a job.

    Args:
        status: `stopped` jobs were asked to stop and can be resumed.
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


class Reporter(Protocol):
    """The reports of a job to the scheduler."""

    def started(self, run_id: str) -> None:
        """The run has this id."""

    def validated(self, position: int, metrics: Mapping[str, float]) -> bool:
        """A validation; true if the run shall end."""

    def progressed(self, now: str | Progress) -> None:
        """The training's present stage, or its progress."""


JobFunction = Callable[[Job, Reporter], JobResult]


def train(job: Job, reporter: Reporter) -> JobResult:
    """Trains a job, from its beginning or on from where it was interrupted; never raises an Exception."""
    from lab.engine.pruning import Pruned, PruningCallback
    from lab.recipe import load_text
    from lab.runner.fit import fit
    from lab.runner.resume import resume

    run_id = job.run_id

    def started(new_id: str) -> None:
        nonlocal run_id
        run_id = new_id
        reporter.started(new_id)

    watch = PruningCallback(started, reporter.validated if job.watched else lambda *_: False)
    try:
        with _reporting(reporter):
            if job.run_id is not None:
                done = _finished(job.run_id, job.uri)
                result: Any = done or _patiently(lambda: resume(str(job.run_id), job.uri, watch))
            else:
                result = fit(load_text(job.recipe, job.name), watch=watch)
        metrics = {**result.metrics, "seconds/fit": result.seconds}  # may be a metric of the study, too
        return JobResult("finished", metrics, result.run_id, seconds=result.seconds)
    except Pruned:
        return JobResult("pruned", run_id=run_id)
    except LabError as error:
        return JobResult("failed", run_id=run_id, reason=" ".join(str(error).split()))
    except Exception as error:
        return JobResult("failed", run_id=run_id, reason=" ".join(f"{type(error).__name__}: {error}".split()))
    except (KeyboardInterrupt, SystemExit):
        return JobResult("stopped", run_id=run_id)


class ProgressHandler(logging.Handler):
    """Hands the stages of this process, and the progress of its training, to a reporter.

    Args:
        reporter: who hears of them.
    """

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self.reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        now = getattr(record, "progress", None) or (record.getMessage() if getattr(record, "stage", False) else None)
        if now is not None:
            with contextlib.suppress(OSError):  # nobody listens any more; the training is about to be stopped
                self.reporter.progressed(now)


@contextlib.contextmanager
def _reporting(reporter: Reporter) -> Iterator[None]:
    handler, level = ProgressHandler(reporter), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)


def _patiently(go_on: Callable[[], Any]) -> Any:
    """Resumes, waiting for the run's last worker, which may still be saving after its scheduler ended."""
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
    return JobResult("finished", metrics, run_id, seconds=metrics.get("seconds/fit", 0.0))
