"""The result of one training run, and what can be read of it: metrics, history, curves, the trained module."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from lab.api import html
from lab.api.session import reading, training
from lab.errors import LabError
from lab.runner.results import RunResult

if TYPE_CHECKING:
    from lightning import LightningModule
    from matplotlib.figure import Figure
    from mlflow.entities import Run
    from pandas import DataFrame

    from lab.plots import History

MOST = 12  # metrics in the table of a notebook


@dataclass(frozen=True, repr=False)
class TrainingRun(RunResult):
    """A training run that has ended, as `lab.run` and `lab.load` return it.

    Its attributes are those of `lab.runner.results.RunResult`: `run_id`, `name`, `task`, `status`, `monitor` and
    `score`, `metrics` (all final ones, a dict), `best` and `last` (files of checkpoints), `seconds`.
    """

    @classmethod
    def of(cls, result: RunResult) -> TrainingRun:
        """The same result with the methods of this class."""
        return cls(**{field.name: getattr(result, field.name) for field in fields(RunResult)})

    @cached_property
    def history(self) -> DataFrame:
        """The metrics logged in training, validation included: a row for each step and a column for each.

        The first column is `epoch`, if the run logged it; agents do not, and have `env_steps`.
        A metric that was not logged at a step is NaN there: `run.history["val/return"].dropna().plot()`.
        """
        from lab.api.history import frame

        return frame(self._logged)

    def load(self, which: Literal["best", "last"] = "best") -> LightningModule:
        """The trained module, on the CPU and in eval mode; its class is the task's.

        Args:
            which: the checkpoint with the best monitored metric, or the one at the end of training.

        Raises:
            BadInput: there is no such checkpoint, or the recipe that the run recorded cannot be used any more.
        """
        from lab.runner.evaluate import load_module

        with training():
            return load_module(self.run_id, which, self.uri)

    def curves(self) -> Figure:
        """A figure of the history: the monitored metric and the losses, a panel for each.

        Raises:
            LabError: the run logged neither.
        """
        from lab.api.figures import shown
        from lab.plots import training_curves
        from lab.runner.results import MODE, MONITOR

        tags = self._recorded.data.tags
        mode: Literal["min", "max"] = "min" if tags.get(MODE) == "min" else "max"
        drawing = training_curves(self._logged, tags.get(MONITOR), mode, title=self.name)
        if drawing is None:
            raise LabError(f"run {self.run_id[:8]} logged no loss and no monitored metric; .history has what it logged")
        return shown(drawing)

    @property
    def url(self) -> str | None:
        """The run's page in MLflow; None for a database without a server, which `lab ui` starts."""
        from lab.tracking.server import run_page

        with reading():
            return run_page(self.uri, self.run_id, self._recorded.info.experiment_id)

    @property
    def artifacts(self) -> Path | None:
        """The folder of the run's files, such as `plots/`; None if they lie on another machine."""
        place = urlsplit(self._recorded.info.artifact_uri)
        folder = Path(url2pathname(place.path))
        return folder if place.scheme in ("", "file") and folder.is_dir() else None

    @cached_property
    def _logged(self) -> History:
        from lab.api.history import logged
        from lab.tracking.server import client

        with reading():
            return logged(self._recorded, client(self.uri))

    @cached_property
    def _recorded(self) -> Run:
        from lab.tracking.server import client, run_of_id

        with reading():
            return run_of_id(client(self.uri), self.run_id)

    def __repr__(self) -> str:
        from lab.stages import number

        score = f"{self.monitor}={number(self.score)}, " if self.monitor else ""
        return f"TrainingRun({self.name!r}, {score}{self.status}, run {self.run_id[:8]})"

    def _repr_html_(self) -> str:
        from lab.stages import duration, number
        from lab.task import distinct_metrics

        title = f"{self.name}: {self.monitor} {number(self.score)}" if self.monitor else self.name
        shown = [name for name in distinct_metrics(self.tested or self.metrics) if name != self.monitor]
        rows = [(name, number((self.tested or self.metrics)[name])) for name in shown[:MOST]]
        more = [("...", f"{len(shown) - MOST} more in .metrics")] if len(shown) > MOST else []
        seconds = f"{self.status}, trained in {duration(self.seconds)}"
        where = ("MLflow", html.link(self.url) if self.url else "lab ui shows it")
        facts = [("task", self.task), ("status", seconds), ("run", self.run_id), where]
        return html.page(title, html.table([*rows, *more, *facts]))
