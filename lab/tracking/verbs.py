"""Methods of Lightning's loggers besides metrics: folders, and the methods of W&B's logger."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from lab.tracking import media
from lab.tracking.experiment import unknown
from lab.tracking.journal import Point
from lab.tracking.warn_once import warn_once

LOGS = "logs"  # among the run's artifacts: what a project writes by itself
VERBS = ("log_", "add_", "use_", "download_", "upload_")  # how the methods of loggers begin


class LoggerVerbs(Logger):
    """The part of a tracker that makes other loggers' habits work; `lab.tracking.logger.Tracker` is the rest of it."""

    _folder: Path | None = None
    _step = 0

    # -- folders ------------------------------------------------------------------------------------------------------

    @property
    def log_dir(self) -> str | None:
        """A folder for whatever a project writes by itself; its files are the run's artifacts, in `logs/`.

        Of several processes only the first knows it until `share_folder`.
        """
        if self._folder is None:
            return None
        self._folder.mkdir(parents=True, exist_ok=True)
        return str(self._folder)

    @property
    def save_dir(self) -> str | None:
        return self.log_dir

    @property
    def root_dir(self) -> str | None:
        return self.log_dir

    def share_folder(self, log_dir: str) -> None:
        """Tells another process of the run where the folder is."""
        self._folder = Path(log_dir)

    # -- numbers ------------------------------------------------------------------------------------------------------

    def step_of(self, step: int | None) -> int:
        """The step that somebody gave, or the newest one that metrics were logged for."""
        return self._step if step is None else int(step)

    def log_numbers(self, numbers: Mapping[str, Any], step: int | None, seconds: float | None = None) -> None:
        """Metrics of any type that is a number; what is none is said once and left out."""
        now, points = int((seconds or time.time()) * 1000), []
        for name, value in numbers.items():
            try:
                points.append((str(name), float(value), now, self.step_of(step)))
            except (TypeError, ValueError, RuntimeError) as error:
                warn_once(f"{name}: left out: {error}")
        self.log_points(points)

    def log_points(self, points: Sequence[Point]) -> None:
        raise NotImplementedError

    def log_dataset(self, name: str, digest: str, context: str, **about: str) -> None:
        raise NotImplementedError

    # -- verbs of W&B's logger ----------------------------------------------------------------------------------------

    def log_image(self, key: str, images: Any, step: int | None = None, **_: Any) -> None:
        for name, image in _numbered(key, images):
            if hasattr(image, "shape"):  # as a picture: an array alone would be drawn as a histogram
                try:
                    image = media.picture(image)
                except (ValueError, TypeError) as error:
                    warn_once(f"{name}: left out: {error}")
                    continue
            elif isinstance(image, str):
                image = media.picture(image)
            self.experiment.log_media(name, image, step)

    def log_text(
        self, key: str, columns: Any = None, data: Any = None, dataframe: Any = None, step: int | None = None
    ) -> None:
        self.log_table(key, columns, data, dataframe, step)

    def log_table(
        self, key: str, columns: Any = None, data: Any = None, dataframe: Any = None, step: int | None = None
    ) -> None:
        if dataframe is not None:
            columns, data = list(dataframe.columns), dataframe.values.tolist()
        if isinstance(columns, str) and data is None:  # one text
            self.experiment.add_text(key, columns, step)
        else:
            self.experiment.log_rows(key, list(columns or []), data or [], step)

    def log_video(self, key: str, videos: Any, step: int | None = None, fps: Any = 4, **_: Any) -> None:
        for name, video in _numbered(key, videos):
            if isinstance(video, str):
                self._file(name, video)
            else:
                rate = fps[0] if isinstance(fps, list) else fps
                self.experiment.add_video(name, video if media.array(video).ndim == 5 else video[None], step, rate)

    def log_audio(self, key: str, audios: Any, step: int | None = None, sample_rate: Any = 44100, **_: Any) -> None:
        for name, audio in _numbered(key, audios):
            if isinstance(audio, str):
                self._file(name, audio)
            else:
                rate = sample_rate[0] if isinstance(sample_rate, list) else sample_rate
                self.experiment.add_audio(name, audio, step, rate)

    def watch(self, *_: Any, **__: Any) -> None:
        """Nothing: gradients are not recorded."""

    def unwatch(self, *_: Any, **__: Any) -> None:
        """Nothing: nothing is watched."""

    def _file(self, folder: str, path: str) -> None:
        self.experiment.log_artifact(self.version, path, folder)

    def __getattr__(self, name: str) -> Any:
        if name.startswith(VERBS):
            return unknown("logger", name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def files_in(folder: Path) -> list[Path]:
    """The files below a folder that may be missing, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _numbered(key: str, values: Any) -> Iterable[tuple[str, Any]]:
    values = list(values) if isinstance(values, list | tuple) else [values]
    return [(key if len(values) == 1 else f"{key}_{i}", value) for i, value in enumerate(values)]
