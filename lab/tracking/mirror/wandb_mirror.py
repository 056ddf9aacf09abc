"""A run in Weights & Biases; without an account or a network it is written here, for `wandb sync`."""

from __future__ import annotations

import netrc
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import wandb
from wandb.sdk.wandb_init import init  # `wandb.init` is another function while a project trains

from lab.tracking.journal import Operation
from lab.tracking.mirror.files import logged_file

HOW_TO_LOOK = "W&B in {folder}; wandb sync sends what was written offline"
FROM_THE_START = False
SECONDS = 10.0  # that the first request may take; offline after that


class Mirror:
    """Opens the W&B run with the first operation, in the thread that sends, so that nobody waits for its server.

    Args:
        folder: where W&B keeps its files.
        journal: the folder that relative names of files begin at.
        experiment: the W&B project.
        name: the run's name.
        run_id: the run's id, there as well, so that a resumed run goes on.
    """

    def __init__(self, folder: Path, journal: Path, experiment: str, name: str, run_id: str) -> None:
        self.folder, self.journal = folder, journal
        self.about: dict[str, Any] = {
            "project": re.sub(r"[/\\\\#?%:]", "-", experiment),
            "name": name,
            "id": run_id,
            "resume": "allow",
        }
        self.run: Any = None
        self.uploading = False  # true while W&B starts and ends, which may take longer than the end of a run waits

    def send(self, operations: Sequence[Operation]) -> bool:
        self.uploading = self.run is None or operations[0]["op"] == "end"
        try:
            self._send(operations)
        finally:
            self.uploading = False
        return True

    def _send(self, operations: Sequence[Operation]) -> None:
        operation = operations[0]
        kind = operation["op"]
        self.run = self.run or self._opened()
        if kind == "metrics":
            for points in operations:
                self._metrics(points["metrics"])
        elif kind == "params":
            self.run.config.update(operation["params"], allow_val_change=True)
        elif kind == "artifact":
            file = logged_file(operation, self.journal)
            if file is not None and file.is_picture:
                self.run.log({file.name: wandb.Image(str(file.path)), "step": file.step})
        elif kind == "end":
            self.run.finish(exit_code=0 if operation["status"] == "FINISHED" else 1)
            self.run = None

    def _opened(self) -> Any:
        mode: Any = os.environ.get("WANDB_MODE") or ("online" if _has_key() else "offline")
        settings = wandb.Settings(
            silent=True, console="off", init_timeout=SECONDS, disable_git=True, reinit="create_new"
        )
        try:
            run = init(**self.about, dir=str(self.folder), mode=mode, settings=settings)
        except wandb.errors.Error:  # no answer, or refused: the key may be an old one
            run = init(**self.about, dir=str(self.folder), mode="offline", settings=settings)
        run.define_metric("*", step_metric="step")
        return run

    def _metrics(self, points: Sequence[tuple[str, float, int, int]]) -> None:
        row: dict[str, Any] = {}
        for name, value, milliseconds, step in points:
            if row and (row["step"] != step or name in row):
                self.run.log(row)
                row = {}
            row |= {name: value, "step": step, "_timestamp": milliseconds / 1000}
        self.run.log(row)


def _has_key() -> bool:
    """Whether an account is configured, so that W&B does not ask for one."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False
