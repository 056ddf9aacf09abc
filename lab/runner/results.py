"""The result of a run, as `lab run` returns it and as `lab runs` reads it from MLflow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import BadInput, nearest, suggestion
from lab.sentences import note
from lab.task import counterpart, distinct_metrics
from lab.tracking.names import INTERNAL
from lab.tracking.server import client, has_runs, no_runs, tracking_uri

if TYPE_CHECKING:
    from collections.abc import Collection

    from lightning import Trainer
    from mlflow.entities import Run

    from lab.task import Task

SCORE = f"{INTERNAL}score"  # the run's tag that names the metric by which it is judged
MONITOR = f"{INTERNAL}monitor"  # and the one that names the metric of validation that chose the best checkpoint
MOST_NAMED = 5  # runs in a message
BEST = "best/"  # before the monitor's name: its value at the best checkpoint
MODE = f"{INTERNAL}mode"  # and the one that says whether a larger (max) or a smaller (min) value is better


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Args:
        run_id: the MLflow run.
        name: the run's name.
        task: the task's name.
        status: `FINISHED`, `FAILED` or `KILLED`.
        monitor: the metric that is the score: what `task.score` names, else the test's counterpart of the task's
            monitor, else `best/` and the monitor, which is its value in validation; None for a task without a monitor.
        score: its value for the best checkpoint.
        metrics: all final metrics.
        tested: those of them that the test logged.
        best: the checkpoint with the best monitored metric.
        last: the checkpoint at the end of training.
        uri: the tracking server.
        seconds: wall time of training alone.
    """

    run_id: str
    name: str
    task: str
    status: str
    monitor: str | None
    score: float | None
    metrics: dict[str, float]
    tested: dict[str, float]
    best: Path | None
    last: Path | None
    uri: str
    seconds: float


@dataclass(frozen=True)
class RunRow:
    """One line of `lab runs`; what a run does not have is None.

    `wall_seconds` is the time from its start to its end: data, training, test and recording; `study` the name of the
    study that it belongs to.
    """

    run_id: str
    name: str
    experiment: str
    task: str | None
    status: str
    monitor: str | None
    score: float | None
    wall_seconds: float | None
    started: datetime
    seed: int | None
    study: str | None


def final_metrics(trainer: Trainer) -> dict[str, float]:
    """The metrics of the Trainer's last call, as plain numbers; `step` is an axis and no metric."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name != "step"}


def score_name(task: Task, tested: Collection[str]) -> str | None:
    """The score among the metrics that the test logged: what the task names, or its monitor's counterpart.

    The counterpart may differ in what Lightning appends to names, `_epoch` and `/dataloader_idx_0`. None where the test
    logged neither; says aloud that it did not log what the task names.
    """
    if task.score is not None and task.score not in tested:
        logged = suggestion(task.score, distinct_metrics(tested), "it logged")
        note(f"task.score: the test logged no {task.score!r}{logged}")
    wanted = [] if task.score is None else [task.score]
    if task.monitor is not None:
        other = counterpart(task.monitor)
        wanted += [other, plain_name(other), f"{plain_name(other)}_epoch"]
    return next((name for name in wanted if name in tested), None)


def plain_name(name: str) -> str:
    """A logged name without what Lightning appends to it."""
    return re.sub(r"(_epoch)?(/dataloader_idx_\d+)?$", "", name)


def runs(experiment: str | None = None, last: int = 20, uri: str | None = None) -> list[RunRow]:
    """The newest runs, newest first.

    Args:
        experiment: only those of this experiment.
        last: at most so many.
        uri: the tracking server.

    Raises:
        BadInput: no such experiment.
    """
    if not has_runs(address := tracking_uri(uri)):
        if experiment is not None:
            raise BadInput(f"no experiment {experiment!r}; {no_runs(address)}")
        return []
    server = client(address)
    names = {found.experiment_id: found.name for found in server.search_experiments()}
    if experiment is not None:
        if experiment not in names.values():
            raise BadInput(f"no experiment {experiment!r}{nearest(experiment, names.values())}")
        names = {key: name for key, name in names.items() if name == experiment}
    found = server.search_runs(list(names), max_results=last, order_by=["attributes.start_time DESC"])
    return [_row(run, names[run.info.experiment_id]) for run in found]


def find_run(run: str, uri: str | None = None) -> Run:
    """The MLflow run with this id, unique start of an id, or name; `last` is the newest.

    Raises:
        BadInput: no run, or more than one, answers to it.
    """
    if not has_runs(address := tracking_uri(uri)):
        raise BadInput(no_runs(address))
    server = client(address)
    experiments = [found.experiment_id for found in server.search_experiments()]
    everything = server.search_runs(experiments, max_results=5_000, order_by=["attributes.start_time DESC"])
    if not everything:
        raise BadInput(no_runs(address))
    if run == "last":
        return everything[0]
    matches = [found for found in everything if found.info.run_id.startswith(run) or found.info.run_name == run]
    if not matches:
        names = ["last", *(found.info.run_name for found in everything)]
        raise BadInput(f"no run {run!r}{nearest(run, names)}; lab runs lists them")
    if len(matches) > 1:
        ids = ", ".join(map(_told_apart, matches[:MOST_NAMED])) + (", ..." if len(matches) > MOST_NAMED else "")
        raise BadInput(f"{run!r} is the name or start of {len(matches)} runs ({ids}); give one id")
    return matches[0]


def _told_apart(run: Run) -> str:
    """Its id, with the study that it belongs to: the runs of all studies are called `seed 0`, `seed 1` and so on."""
    study = run.data.tags.get("study")
    return f"{run.info.run_id[:8]} of study {study}" if study else f"{run.info.run_id[:8]}"


def _row(run: Run, experiment: str) -> RunRow:
    info, tags, metrics = run.info, run.data.tags, run.data.metrics
    monitor = tags.get(SCORE)
    ended = info.end_time
    return RunRow(
        run_id=info.run_id,
        name=info.run_name,
        experiment=experiment,
        task=tags.get("task"),
        status=info.status,
        monitor=monitor,
        score=metrics.get(monitor) if monitor else None,
        wall_seconds=(ended - info.start_time) / 1000 if ended else None,
        started=datetime.fromtimestamp(info.start_time / 1000),
        seed=int(tags["seed"]) if tags.get("seed", "").isdigit() else None,
        study=tags.get("study"),
    )
