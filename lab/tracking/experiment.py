"""The object that modules find as `logger.experiment`: MLflow's client with the verbs of TensorBoard and W&B."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lab.tracking import media
from lab.tracking.summary import SummaryVerbs
from lab.tracking.warn_once import warn_once

GLOBAL_STEP = "trainer/global_step"  # where W&B's logger of Lightning puts the step


class Experiment(SummaryVerbs):
    """The client of one run, for modules that were written for another logger.

    A method that none of the three has warns once and does nothing: a training should not end because of a chart.
    """

    def log(self, data: Mapping[str, Any], step: int | None = None, *_: Any, **__: Any) -> None:
        """A dictionary as W&B takes it: numbers, pictures, figures, histograms, tables, texts, and lists of these."""
        step = data.get(GLOBAL_STEP) if step is None else step
        numbers = {}
        for key, value in data.items():
            if key == GLOBAL_STEP or value is None:
                continue
            if _is_scalar(value):
                numbers[key] = value
            elif isinstance(value, Mapping):
                self.log({f"{key}/{name}": inner for name, inner in value.items()}, step)
            else:
                self.log_media(key, value, step)
        if numbers:
            self._tracker.log_numbers(numbers, step)

    def log_media(self, key: str, value: Any, step: int | None = None) -> None:
        """Anything but a number, by what it can do rather than by its class: W&B need not be installed."""
        if isinstance(value, str):
            self.add_text(key, value, step)
        elif isinstance(value, list | tuple) and value and not isinstance(value[0], int | float):
            for i, one in enumerate(value):
                self.log_media(key if len(value) == 1 else f"{key}_{i}", one, step)
        elif hasattr(value, "columns") and hasattr(value, "data"):  # a table
            self.log_rows(key, list(value.columns), value.data, step)
        elif hasattr(value, "bins") and hasattr(value, "histogram"):
            low, high = float(value.bins[0]), float(value.bins[-1])
            self._picture(key, step, lambda: media.bars(value.histogram, low, high), folder="histograms")
        elif hasattr(value, "to_html"):  # a figure of plotly, a data frame
            self._file("texts", key, step, ".html", str(value.to_html()).encode())
        elif hasattr(value, "savefig") or hasattr(value, "getbands"):
            self._picture(key, step, lambda: media.picture(value))
        elif hasattr(getattr(value, "image", None), "getbands"):  # a picture of W&B
            self._picture(key, step, lambda: media.picture(value.image))
        elif isinstance(value, torch.Tensor | np.ndarray | list | tuple):
            self.add_histogram(key, value, step)
        elif isinstance(path := getattr(value, "_path", None), str) and Path(path).is_file():  # a film of W&B, a sound
            self._file("files", key, step, Path(path).suffix, Path(path).read_bytes())
        else:
            warn_once(f"{key}: left out: nothing is known about a {type(value).__name__}")

    def log_rows(self, key: str, columns: list[Any], rows: Any, step: int | None = None) -> None:
        """A table as CSV."""
        import csv
        import io

        text = io.StringIO()
        csv.writer(text).writerows([columns, *rows] if columns else list(rows))
        self._file("tables", key, step, ".csv", text.getvalue().encode())

    def log_artifact(self, run_id: str, local_path: str | None = None, artifact_path: str | None = None) -> None:
        """MLflow's, and W&B's with a file alone."""
        if local_path is not None:
            super().log_artifact(run_id, local_path, artifact_path)
        elif isinstance(run_id, str) and Path(run_id).exists():
            super().log_artifact(self._tracker.run_id, run_id)
        else:
            warn_once(f"logger.experiment.log_artifact: left out: {run_id!r} is no file")

    @property
    def id(self) -> str:
        return self._tracker.run_id

    @property
    def name(self) -> str:
        return self._tracker.name

    @property
    def dir(self) -> str | None:
        return self._tracker.log_dir

    @property
    def config(self) -> Settings:
        return Settings(self._tracker.log_params)

    @property
    def summary(self) -> Settings:
        return Settings(lambda values: self.log(values))

    def __getitem__(self, key: str) -> Series:
        return Series(lambda value, step: self.log({key: value}, step), key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._tracker.log_params({key: value})

    def __getattr__(self, name: str) -> Any:
        return unknown("logger.experiment", name)


class Series:
    """A metric as Neptune has them: `experiment["train/loss"].append(0.3)`."""

    def __init__(self, write: Callable[[Any, int | None], None], key: str) -> None:
        self._write, self._key = write, key

    def append(self, value: Any, step: int | None = None, **_: Any) -> None:
        self._write(value, step)

    log = upload = append

    def __getattr__(self, name: str) -> Any:
        return unknown(f"logger.experiment[{self._key!r}]", name)


class Settings:
    """A run's `config` or `summary` as W&B has them: what is set by item, by attribute or by `update` is logged."""

    _write: Callable[[Mapping[str, Any]], None]

    def __init__(self, write: Callable[[Mapping[str, Any]], None]) -> None:
        object.__setattr__(self, "_write", write)

    def update(self, *values: Mapping[str, Any], **more: Any) -> None:
        everything = {key: value for mapping in (*values, more) for key, value in mapping.items()}
        self._write({key: value for key, value in everything.items() if key != "allow_val_change"})

    def __setitem__(self, key: str, value: Any) -> None:
        self._write({key: value})

    __setattr__ = __setitem__


def unknown(owner: str, name: str) -> Callable[..., None]:
    """Stands for a method that is not there: calling it says so once.

    Raises:
        AttributeError: the name is private; Python and others ask for such names to learn about an object.
    """
    if name.startswith("_"):
        raise AttributeError(name)

    def ignored(*_: Any, **__: Any) -> None:
        warn_once(f"{owner}.{name}: MLflow has nothing of the kind; what was given is not logged")

    return ignored


def _is_scalar(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.numel() == 1
    return isinstance(value, bool | int | float | np.number) or (isinstance(value, np.ndarray) and value.size == 1)
