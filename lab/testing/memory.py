"""A logger in memory, for tests without MLflow and without a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from lab.tracking.journal import Point
from lab.tracking.verbs import LoggerVerbs


class MemoryLogger(LoggerVerbs):
    """Lightning's logger for a training whose record nobody needs afterwards; a resumed training may go on with it.

    It has the verbs of the real one, and a `log_dir` that is gone with it.

    Args:
        run_id: what modules find as `logger.run_id`, as with a run in MLflow.

    Attributes:
        points: every value of every metric, as name, step and value, in order.
        datasets: what a run says of the data it uses, by name.
        hyperparameters: what Lightning logs of the module and of the data.
        experiment: stands for the MLflow client.
    """

    def __init__(self, run_id: str = "memory") -> None:
        super().__init__()
        self.run_id = run_id
        self.points: list[tuple[str, int, float]] = []
        self.datasets: dict[str, dict[str, str]] = {}
        self.hyperparameters: dict[str, Any] = {}
        self._client = MemoryClient()
        self._place = TemporaryDirectory()
        self._folder = Path(self._place.name)

    @property
    def name(self) -> str:
        return "memory"

    @property
    def version(self) -> str:
        return self.run_id

    @property
    def experiment(self) -> MemoryClient:
        return self._client

    @property
    def plots(self) -> list[str]:
        """The names of the figures that were logged, such as `plots/boundary.png`."""
        return [str(arguments[-1]) for method, arguments in self._client.calls if method == "log_figure"]

    @property
    def files(self) -> list[str]:
        """The folders of the files that were logged, such as `videos`."""
        return [str(arguments[-1]) for method, arguments in self._client.calls if method == "log_artifact"]

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.points += [(name, int(step or 0), float(value)) for name, value in metrics.items()]

    def log_points(self, points: Sequence[Point]) -> None:
        self.points += [(name, step, value) for name, value, _, step in points]

    @rank_zero_only
    def log_dataset(self, name: str, digest: str, context: str, **about: str) -> None:
        self.datasets[name] = {"digest": digest, "context": context, **about}

    @rank_zero_only
    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        self.hyperparameters |= dict(params)

    def position(self) -> int:
        """Number of values."""
        return len(self.points)

    def rewind(self, position: int) -> None:
        """Forgets what was logged after there were so many values: the resumed training logs it again."""
        del self.points[position:]


class MemoryClient:
    """Takes every call that an `MlflowClient` would, remembers it in `calls` as (method, arguments), and gives None."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda *arguments, **named: self.calls.append((method, (*arguments, *named.values())))
