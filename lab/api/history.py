"""The metrics that a run logged while it trained, as a table of pandas."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from lab.runner.results import BEST

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from pandas import DataFrame

OF_THE_RECORD = ("seconds/", "system/")  # of the run's time and of its machine
TEST = re.compile(r"(^|[/_.])test([/_.]|$)", re.I)


def is_metric(name: str) -> bool:
    """Whether a recorded number says something about the model."""
    return name != "epoch" and not name.startswith(OF_THE_RECORD)


def is_tested(name: str) -> bool:
    """Whether a metric is one of the test at the end."""
    return TEST.search(name) is not None


def history(run: Run, server: MlflowClient) -> DataFrame:
    """One row for each step at which anything was logged, and one column for each metric.

    Args:
        run: read with its newest metrics.
        server: where it is; asked once for each metric.
    """
    import pandas as pd

    columns: dict[str, dict[int, float]] = defaultdict(dict)
    for name in sorted(run.data.metrics):
        if name == "epoch" or (is_metric(name) and not is_tested(name) and not name.startswith(BEST)):
            entries = server.get_metric_history(run.info.run_id, name)
            for entry in sorted(entries, key=lambda entry: (entry.step, entry.timestamp)):
                columns[name][entry.step] = entry.value
    epochs = columns.pop("epoch", {})
    steps = sorted({step for values in columns.values() for step in values})
    found = pd.DataFrame({name: pd.Series(values) for name, values in columns.items()}, index=steps)
    found.index.name = "step"
    # the number of the epoch is logged where it changes
    known = pd.Series(epochs, dtype=float).reindex(sorted({*steps, *epochs})).ffill().fillna(0).astype(int)
    found.insert(0, "epoch", known.reindex(steps))
    return found
