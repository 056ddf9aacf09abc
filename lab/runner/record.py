"""The record of a run: parameters, recipe, code, packages and hardware."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from email.message import Message
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lightning.pytorch.utilities import rank_zero_only

import lab
from lab.errors import one_line
from lab.plots import training_curves
from lab.recipe.objects import holds_objects
from lab.registry import field_of
from lab.runner.results import MODE, MONITOR, SCORE
from lab.sentences import note
from lab.task import Task, hook
from lab.tracking.journal import history
from lab.tracking.names import DESCRIPTION, INTERNAL, metric_name
from lab.tracking.redaction import redact, without_password
from lab.tracking.server import markdown_picture, user

if TYPE_CHECKING:
    from lab.recipe import Recipe
    from lab.runner.assembly import Assembly
    from lab.tracking.logger import Tracker

SAMPLE_SECONDS = 5.0
VERSION = f"{INTERNAL}version"  # tag: of lab
CURVES = "plots/training.png"
LIMITS = ("max_epochs", "max_steps", "max_time")  # how long it trains: worth a parameter also where the data says it


def tags(assembly: Assembly) -> dict[str, str]:
    """The run's tags: task, recipe, field, seed, hardware, versions, git commit, of the data, and the recipe's own."""
    import torch

    recipe = assembly.recipe
    gpus = sorted({torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())})
    found = {
        "task": assembly.name,
        "recipe": recipe.name,
        "field": field_of(assembly.task.module.__module__),
        "seed": str(recipe.seed),
        "hardware": ", ".join([f"{os.cpu_count()} x {_processor()}", *gpus]),
        VERSION: lab.__version__,
        "mlflow.source.name": str(recipe.path),
        "mlflow.user": user(),
    }
    commit = _git("rev-parse", "HEAD")
    of_data = hook(assembly.data, "tags") or dict
    commits = {"mlflow.source.git.commit": commit.strip()} if commit else {}
    return found | of_data() | commits | recipe.track.tags


@rank_zero_only
def start(tracker: Tracker, assembly: Assembly) -> None:
    """Logs every parameter, the recipe, the uncommitted change and the packages."""
    tracker.log_params(dict(parameters(assembly)))
    recipe = assembly.recipe
    uri = recipe.track.uri or tracker.uri
    recipe = replace(recipe, track=replace(recipe.track, uri=recipe.track.uri and without_password(uri)))
    texts = {
        "recipe.yaml": recipe.to_yaml(),
        "environment/packages.txt": packages(),
        "environment/git.diff": redact(_git("diff", "HEAD"), uri),
    }
    for name, text in texts.items():
        if text:
            tracker.experiment.log_text(tracker.run_id, text, name)
    if recipe.description:
        tracker.set_tag(DESCRIPTION, recipe.description)


def headers(installed: metadata.Distribution) -> Message:
    """The metadata of a package.

    The `name` and `version` of `importlib.metadata` read the whole description of a package each time, together longer
    than a short training of a small model takes.
    """
    text = installed.read_text("METADATA") or installed.read_text("PKG-INFO") or ""
    return HeaderParser().parsestr(text.partition("\n\n")[0])


@functools.cache
def packages() -> str:
    """The installed packages, one line each; read once, for a process may train many short runs."""
    return "".join(sorted(map(_package, metadata.distributions())))


def _package(installed: metadata.Distribution) -> str:
    head = headers(installed)
    return f"{head.get('Name', 'unknown')}=={head.get('Version', 'unknown')}\n"


def score(tracker: Tracker, recipe: Recipe, task: Task, name: str | None, value: float | None) -> None:
    """Records by which metric the run is judged, and which curve chose its best checkpoint.

    Lightning's own names may differ from what it logs: `valid_loss` of each step and epoch is `valid_loss_epoch`, and
    with `logger=False` nothing is logged. The score has to be found under its name, so it is logged once more then.
    """
    curves = [curve for curve in (task.monitor, f"{task.monitor}_epoch") if curve and tracker.has_metric(curve)]
    monitor = metric_name(curves[0]) if curves else None
    about = [recipe.description, _picture(tracker, monitor, task.mode)]
    if name is not None and value is not None:
        if not tracker.has_metric(name):
            tracker.log_metrics({name: value}, step=0)
        tracker.set_tag(SCORE, metric_name(name))
        tracker.set_tag(MODE, task.mode_of_score)
        if monitor is not None and task.mode_of_score == task.mode:  # else they are no curve of one measure
            tracker.set_tag(MONITOR, monitor)
        about.insert(0, f"**{name} {value:.4g}**")
    text = redact("\n\n".join(filter(None, about)), recipe.track.uri or tracker.uri)
    tracker.write(op="describe", text=text, instead_of=recipe.description)


def _picture(tracker: Tracker, monitor: str | None, mode: Literal["min", "max"]) -> str:
    """Logs the curves of the training as a picture, and shows it in Markdown; empty where there are none."""
    logged = history(tracker.written().points())
    try:
        drawing = training_curves(logged, monitor, mode)
        if drawing is None:
            return ""
        tracker.experiment.log_figure(tracker.run_id, drawing, CURVES, save_kwargs={"dpi": 100})
    except Exception as error:  # matplotlib's: a finished training matters more
        note(f"no {CURVES}: {one_line(error)}")
        return ""
    return markdown_picture(tracker.run_id, CURVES)


def parameters(assembly: Assembly) -> Iterator[tuple[str, Any]]:
    """The parameters of the run by their dotted names: the recipe's, and defaults of the model and of the data.

    Left out is what is None, and what follows from others: facts of the data that the model is told, and keywords of
    the Trainer that the data chooses, except for the length of the training.
    """
    recipe: Recipe = assembly.recipe
    facts: dict[str, Any] = (hook(assembly.data, "facts") or dict)()
    chosen = {key: value for key, value in assembly.trainer_settings.items() if key in (*recipe.trainer, *LIMITS)}
    yield "task", assembly.name
    yield from {"seed": recipe.seed, "threads": recipe.threads, "compile": assembly.compiled}.items()
    if recipe.start_from is not None and recipe.start_from.run is not None:
        yield from {"start_from.run": recipe.start_from.run, "start_from.parts": list(recipe.start_from.parts)}.items()
    model = _plainly(assembly.module.hparams, recipe.model)
    sections = {
        "model": {key: value for key, value in model.items() if key not in facts},
        "data": _plainly(assembly.data.hparams, recipe.data),
        "trainer": chosen,
        "callbacks": {str(i): f"{spec.class_path}({spec.init_args})" for i, spec in enumerate(recipe.callbacks)},
    }
    for section, values in sections.items():
        for key, value in values.items():
            if value is not None:
                yield f"{section}.{key}", value


def _plainly(hyperparameters: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters; of objects what the recipe says, by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in (dict(hyperparameters) or settings).items():
        if isinstance(said := settings.get(key, value), dict | list) and holds_objects(said):
            found |= dict(_flat(key, said))
        else:
            found[key] = value
    return found


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A nested value as plain ones under dotted keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in pairs:
        yield from _flat(f"{key}.{name}", each)
    if not isinstance(value, dict | list):
        yield key, value


@contextmanager
def system_metrics(tracker: Tracker) -> Iterator[None]:
    """Samples processor, memory, disk, network and GPU into the run while the block lasts, by MLflow's own monitor."""
    if not tracker.run_id:
        yield
        return
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    class Monitor(SystemMetricsMonitor):
        """MLflow's own asks the server for the run at every sample, and gives up when it does not answer."""

        def monitor(self) -> None:
            while not self._shutdown_event.is_set():
                for _ in range(self.samples_before_logging):
                    self.collect_metrics()
                    self._shutdown_event.wait(self.sampling_interval)
                self.publish_metrics(self.aggregate_metrics())

        def publish_metrics(self, metrics: dict[str, float]) -> None:
            prefix = self._metrics_prefix + (f"{self.node_id}/" if self.node_id else "")
            named = {prefix + name.removeprefix("system_"): value for name, value in metrics.items()}
            tracker.log_metrics(named, self._logging_step)
            self._logging_step += 1
            for source in self.monitors:
                source.clear_metrics()

    monitor = Monitor(tracker.run_id, sampling_interval=SAMPLE_SECONDS, tracking_uri=tracker.uri)
    monitor._logging_step = tracker.next_step(monitor._metrics_prefix)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


def _git(*words: str) -> str:
    """The output of git in the current folder; empty where it is not in a repository."""
    try:
        found = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open() as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
