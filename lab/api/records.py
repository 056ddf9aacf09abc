"""`lab.load`, `lab.runs` and `lab.collect`: what was trained before, and episodes of it."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab.api.session import reading, training
from lab.api.settings import at_least, refuses_other_keywords
from lab.api.training_run import TrainingRun
from lab.errors import BadInput
from lab.runner.results import RunResult

if TYPE_CHECKING:
    from mlflow.entities import Run
    from pandas import DataFrame


@refuses_other_keywords
def load(run: str | RunResult = "last", *, uri: str | None = None) -> TrainingRun:
    """The result of a run that was trained before, here or on another machine.

    >>> result = load("last")
    >>> "val/return" in result.history
    True

    Args:
        run: an id, its first digits, a name, or `last` for the newest run.
        uri: the tracking server or database; MLFLOW_TRACKING_URI or sqlite:///mlflow.db by default.

    Raises:
        BadInput: no such run, or several; a study has many runs, which `lab.tune` and `lab.compare` show.
        LabError: the server cannot be reached.
    """
    from lab.runner.results import find_run
    from lab.tracking.server import tracking_uri

    if isinstance(run, RunResult):
        return TrainingRun.of(run)
    with reading():
        return _result(find_run(run_word(run), uri), tracking_uri(uri))


@refuses_other_keywords
def runs(experiment: str | None = None, *, last: int = 20, uri: str | None = None) -> DataFrame:
    """The newest runs as a table of pandas, newest first: a row for each run.

    Columns are `run_id`, `name`, `experiment`, `task`, `status`, `monitor` (the metric of the score), `score`,
    `wall_seconds` (from start to end, not of training alone), `started`, `seed` and `study`.

    >>> list(runs(last=1)["task"])
    ['ddpg']

    Args:
        experiment: only those of this experiment.
        last: at most so many.
        uri: the tracking server or database; MLFLOW_TRACKING_URI or sqlite:///mlflow.db by default.

    Raises:
        BadInput: no such experiment, or `last` is below 1.
        LabError: the server cannot be reached.
    """
    import pandas as pd

    from lab.runner import results

    at_least(1, "last", last)
    with reading():
        rows = results.runs(experiment, last, uri)
    columns = [field.name for field in fields(results.RunRow)]
    return pd.DataFrame([asdict(row) for row in rows], columns=columns)


@refuses_other_keywords
def collect(
    run: str | RunResult,
    *,
    episodes: int = 100,
    noise: float = 0.0,
    to: str | None = None,
    seed: int = 0,
    checkpoint: Literal["best", "last"] = "best",
    uri: str | None = None,
) -> str:
    """Record episodes of a run's agent as a Minari dataset, as `lab collect` does; returns its name.

    Args:
        run: an id, its first digits, a name, `last`, or a result.
        episodes: how many.
        noise: Gaussian noise on actions, as a fraction of half their range; the probability of a random action where
            they are discrete.
        to: Minari id of the dataset, such as pendulum/medium-v0; by default environment/task-v0.
        seed: the first start seed.
        checkpoint: the one with the best monitored metric, or the one at the end of training.
        uri: the tracking server or database; MLFLOW_TRACKING_URI or sqlite:///mlflow.db by default.

    Raises:
        LabError: no such run or checkpoint, the name is taken or no Minari id, or the task has no episodes.
    """
    from lab.runner import evaluate as evaluation

    for name, least, value in (("episodes", 1, episodes), ("seed", 0, seed)):
        at_least(least, name, value)
    with training():
        return evaluation.collect(run_word(run), to, episodes, noise, seed, checkpoint, address_of(run, uri))[0]


def address_of(run: str | RunResult, uri: str | None) -> str | None:
    """The address of the server that has a run; that of a result by default."""
    return run.uri if uri is None and isinstance(run, RunResult) else uri


def run_word(run: str | RunResult) -> str:
    """A run as the rest of `lab` looks for it: by its id, or a word of the user's."""
    if isinstance(run, RunResult):
        return run.run_id
    if not isinstance(run, str):
        raise BadInput(f"run {run!r}: expected an id, its first digits, a name, 'last' or a result")
    return run


def _result(run: Run, uri: str) -> TrainingRun:
    """The result as MLflow has it."""
    from lab.api.history import is_metric, is_tested
    from lab.runner.results import SCORE
    from lab.tracking.logger import CHECKPOINTS
    from lab.tracking.names import KIND

    tags = run.data.tags
    if KIND in tags:
        raise BadInput(f"{run.info.run_name!r} is a study of many runs; lab.compare({run.info.run_name!r}) shows them")
    metrics = {name: value for name, value in run.data.metrics.items() if is_metric(name)}
    monitor = tags.get(SCORE)
    files = [Path(tags[CHECKPOINTS], name) if CHECKPOINTS in tags else None for name in ("best.ckpt", "last.ckpt")]
    best, last = (file if file is not None and file.is_file() else None for file in files)
    return TrainingRun(
        run_id=run.info.run_id,
        name=run.info.run_name,
        task=tags.get("task", ""),
        status=run.info.status,
        monitor=monitor,
        score=metrics.get(monitor) if monitor else None,
        metrics=metrics,
        tested={name: value for name, value in metrics.items() if is_tested(name)},
        best=best,
        last=last,
        uri=uri,
        seconds=run.data.metrics.get("seconds/fit", 0.0),
    )
