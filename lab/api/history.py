"""The metrics that a run logged while it trained."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.runner.results import BEST
from lab.tracking.journal import Point, history

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from pandas import DataFrame

    from lab.plots import History

OF_THE_RECORD = ("seconds/", "system/")  # of the run's time and of its machine
TEST = re.compile(r"(^|[/_.])test([/_.]|$)", re.I)


def is_metric(name: str) -> bool:
    """Whether a recorded number says something about the model."""
    return name != "epoch" and not name.startswith(OF_THE_RECORD)


def is_tested(name: str) -> bool:
    """Whether a metric is one of the test at the end."""
    return TEST.search(name) is not None


def logged(run: Run, server: MlflowClient) -> History:
    """Steps and values of every metric of the training; `epoch` is among them.

    Args:
        run: read with its newest metrics.
        server: where it is; asked once for each metric.
    """
    points: list[Point] = []
    for name in sorted(run.data.metrics):
        if name == "epoch" or (is_metric(name) and not is_tested(name) and not name.startswith(BEST)):
            entries = server.get_metric_history(run.info.run_id, name)
            points += [(name, entry.value, entry.timestamp, entry.step) for entry in entries]
    return history(sorted(points, key=lambda point: point[2]))


def frame(metrics: History) -> DataFrame:
    """One row for each step at which anything was logged, and a column for each metric, after the epoch if it was."""
    import pandas as pd

    columns = {name: pd.Series(dict(points)) for name, points in metrics.items() if name != "epoch"}
    steps = sorted({step for values in columns.values() for step in values.index})
    found = pd.DataFrame(columns, index=pd.Index(steps, name="step", dtype=int))
    if "epoch" in metrics:  # its number is logged where it changes; agents log none
        epochs = pd.Series(dict(metrics["epoch"]), dtype=float)
        known = epochs.reindex(sorted({*steps, *epochs.index})).ffill().bfill().astype(int)
        found.insert(0, "epoch", known.reindex(steps))
    return found
