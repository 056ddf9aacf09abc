"""W&B's global functions: `wandb.init`, `wandb.log` and the like.

What they log lands in the run that is trained, as what `logger.experiment` is given does. `wandb.init` opens no run of
W&B; the recipe's `track.mirror: [wandb]` copies the run there. Nothing is done where W&B is not imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.tracking.global_functions.replace import no_run_yet, replaced, replaced_from_import_on
from lab.tracking.warn_once import warn_once

if TYPE_CHECKING:
    from lab.tracking.experiment import Experiment

VERBS = ("log", "watch", "unwatch", "log_artifact", "log_model", "define_metric", "alert", "use_artifact")


@contextmanager
def current_run(experiment: Experiment, run_id: str) -> Iterator[None]:
    """While the block lasts, W&B's global functions log into the run.

    Args:
        experiment: its client.
        run_id: the run; empty in all processes but the first, which log nothing.
    """
    with _replaced(Joined(experiment if run_id else Nothing())):
        yield


@contextmanager
def constructing() -> Iterator[None]:
    """While the block lasts, no run of W&B is begun."""
    with replaced_from_import_on("wandb", lambda: {"init": no_run_yet("wandb.init")}, inside=False):
        yield


@contextmanager
def recording_nothing() -> Iterator[None]:
    """While the block lasts, the global functions do nothing: a finished run is looked at again."""
    with _replaced(Joined(Nothing())):
        yield


@contextmanager
def _replaced(run: Joined) -> Iterator[None]:
    wandb = sys.modules.get("wandb")
    if wandb is None:
        yield
        return
    others = {name: getattr(run, name) for name in (*VERBS, "save", "finish", "config", "summary")}
    with replaced(wandb, {**others, "init": run.init, "run": run}, inside=False):
        yield


class Joined:
    """The run as `wandb.init` gives it."""

    def __init__(self, experiment: Experiment | Nothing) -> None:
        self._experiment = experiment
        self.config, self.summary = Config(experiment.config.update), experiment.summary

    def init(self, *_: Any, config: Any = None, **given: Any) -> Joined:
        instead = [f"set track.{key} in the recipe" for key in ("name", "project") if given.get(key)]
        keys = [each.replace("track.project", "track.experiment") for each in instead]
        copy = "track.mirror=[wandb] copies it to W&B"
        warn_once("; ".join([f"wandb.init: no other run is begun, this one is run {self.id[:8]}; {copy}", *keys]))
        if config:
            self.config.update(dict(vars(config)) if hasattr(config, "__dict__") else config)
        return self

    def save(self, pattern: Any = None, *_: Any, **__: Any) -> None:
        for path in Path().glob(str(pattern)) if pattern else ():
            self._experiment.log_artifact(str(path))

    def finish(self, *_: Any, **__: Any) -> None:
        """Nothing: the run ends after its test."""

    def __enter__(self) -> Joined:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._experiment, name)


class Config:
    """A run's `config`: what is set becomes a parameter of the run, and can be read again."""

    _log: Callable[[Mapping[str, Any]], None]
    _values: dict[str, Any]

    def __init__(self, log: Callable[[Mapping[str, Any]], None]) -> None:
        vars(self).update(_log=log, _values={})

    def update(self, values: Mapping[str, Any] = {}, **more: Any) -> None:
        more.pop("allow_val_change", None)
        self._values.update(values, **more)
        self._log({**values, **more})

    def get(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    __setattr__ = __setitem__

    def __getattr__(self, key: str) -> Any:
        try:
            return self._values[key]
        except KeyError:
            raise AttributeError(key) from None


class Nothing:
    """Stands for a run's client where nothing is recorded."""

    id = ""

    @property
    def config(self) -> Config:
        return Config(lambda _: None)

    summary = config

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *_, **__: None
