"""The checks of `lab doctor`: one finding for each thing that can be wrong with an installation, with the next step."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import sqlite3
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from lab.errors import LabError

COMPROMISED = {"lightning": {"2.6.2", "2.6.3"}}
PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "torchrl",
    "tensordict",
    "torchmetrics",
    "gymnasium",
    "optuna",
    "mlflow",
    "segmentation-models-pytorch",
)


@dataclass(frozen=True)
class Finding:
    """One row of `lab doctor`.

    Args:
        check: what was looked at.
        state: `ok`, `warning` (works, but look at it) or `failed`.
        found: what is there.
        next_step: what to do about it; empty when it is ok.
    """

    check: str
    state: Literal["ok", "warning", "failed"]
    found: str
    next_step: str = ""


def examine() -> list[Finding]:
    """Every finding, in the order in which problems should be solved."""
    return [python(), *packages(), *devices(), *resuming(), *folders(), *file_store(), tracking()]


def python() -> Finding:
    """The interpreter against what the project asks for."""
    wanted = metadata.metadata("torch-lab")["Requires-Python"]
    if SpecifierSet(wanted).contains(platform.python_version(), prereleases=True):
        return Finding("python", "ok", platform.python_version())
    return Finding("python", "failed", platform.python_version(), f"make an environment with Python {wanted}")


def packages() -> Iterator[Finding]:
    """The installed versions against the project's own requirements."""
    required = {line.name: line.specifier for line in map(Requirement, metadata.requires("torch-lab") or ())}
    for name in PACKAGES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding(name, "failed", "not installed", f"pip install '{name}{required[name]}'")
            continue
        yield judge(name, version, required[name])


def judge(name: str, version: str, wanted: SpecifierSet) -> Finding:
    """One package's version; `wanted` is what the project asks for."""
    install = f"pip install '{name}{wanted}'"
    if version in COMPROMISED.get(name, ()):
        return Finding(name, "failed", f"{version}: a compromised release", f"{install}, and renew your credentials")
    if wanted.contains(version, prereleases=True):
        return Finding(name, "ok", version)
    why = "; torchrl 0.14 needs torch 2.14" if name in ("torch", "torchrl") else ""
    return Finding(name, "failed", f"{version}{why}", install)


def devices() -> Iterator[Finding]:
    """The devices that torch can compute on."""
    try:
        import torch
    except Exception as error:  # a broken installation raises whatever its libraries raise
        yield Finding("devices", "failed", f"import torch: {error}", "reinstall torch")
        return
    yield Finding("cpu", "ok", f"{os.cpu_count()} processors, {torch.get_num_threads()} torch threads")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        yield Finding("cuda", "ok", ", ".join(names))
    if torch.backends.mps.is_available():
        yield Finding("mps", "ok", platform.machine())


def resuming() -> Iterator[Finding]:
    """Whether Lightning has the undocumented names that exact resuming needs."""
    try:
        import lightning

        from lab.engine.boundary import missing

        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # it says which devices it found
        trainer = lightning.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)
        gone, version = missing(trainer), lightning.__version__
    except Exception as error:  # a broken installation raises whatever its libraries raise
        yield Finding("resuming", "failed", f"import lightning: {error}", "reinstall lightning")
        return
    wanted = next(line for line in map(Requirement, metadata.requires("torch-lab") or ()) if line.name == "lightning")
    for name in gone:
        yield Finding("resuming", "failed", f"lightning {version} has no {name}", f"pip install '{wanted}'")
    if not gone:
        yield Finding("resuming", "ok", f"lightning {version} has every internal name that exact resuming needs")


def folders() -> Iterator[Finding]:
    """Whether runs can be written here."""
    for folder in (Path(), Path("mlruns")):
        if not folder.exists():
            continue  # the first run makes mlruns/
        name = f"write {folder.resolve().name}/"
        try:
            with tempfile.TemporaryFile(dir=folder):
                yield Finding(name, "ok", str(folder.resolve()))
        except OSError as error:
            step = "work in a folder of your own, or change its permissions"
            yield Finding(name, "failed", f"{folder.resolve()}: {error.strerror}", step)


def file_store() -> list[Finding]:
    """Runs in MLflow's old file format, which MLflow would fall back to."""
    old = sorted(str(file.parent) for file in Path("mlruns").glob("*/meta.yaml") if file.parent.name.isdigit())
    if not old:
        return []
    step = "mlflow migrate-filestore --source . --target sqlite:///mlflow.db, then move the old folders away"
    return [Finding("file store", "failed", f"MLflow's old file format in {', '.join(old)}", step)]


def tracking() -> Finding:
    """Whether the tracking address can be used."""
    from lab.tracking.redaction import without_password
    from lab.tracking.server import tracking_uri

    try:
        uri = tracking_uri()
    except LabError as error:
        return Finding("tracking", "failed", str(error), "set MLFLOW_TRACKING_URI to a database or a server")
    name = without_password(uri)
    try:
        if uri.startswith(("http://", "https://")):
            with urllib.request.urlopen(f"{name.rstrip('/')}/health", timeout=3):
                return Finding("tracking", "ok", name)
        if not uri.startswith("sqlite:///"):
            return Finding("tracking", "warning", f"{name}: not checked", "lab runs reads it")
        file = Path(uri.removeprefix("sqlite:///"))
        if not file.exists():
            return Finding("tracking", "ok", f"{name}: created by the first run")
        with contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as database:
            count = database.execute("select count(*) from runs").fetchone()[0]
        return Finding("tracking", "ok", f"{name}: {count} runs")
    except sqlite3.Error as error:
        return Finding("tracking", "failed", f"{name}: {error}", "move the file away, or set MLFLOW_TRACKING_URI")
    except OSError as error:  # urllib's errors too
        step = "start the server, or unset MLFLOW_TRACKING_URI"
        return Finding("tracking", "failed", f"{name}: {getattr(error, 'reason', error)}", step)
