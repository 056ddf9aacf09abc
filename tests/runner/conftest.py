"""Runs of modules that a test file defines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.recipe import load
from lab.runner.fit import fit
from lab.runner.results import RunResult
from tests.runner.projects import Rows, Run


@pytest.fixture
def run(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Trains a module for two epochs; `more` are lines of its recipe, and keywords those of `task:`."""
    monkeypatch.chdir(tracked)

    def trained(
        module: type,
        monitor: str | None = "valid_loss",
        data: type | None = Rows,
        more: str = "",
        settings: tuple[str, ...] = (),
        **task: Any,
    ) -> RunResult:
        named = {"module": module, "data": data}
        words = {key: f"{value.__module__}:{value.__name__}" for key, value in named.items() if value}
        words |= {"monitor": monitor, **task}
        entries = ", ".join(f"{key}: '{value}'" for key, value in words.items() if value is not None)
        lines = ["trainer: {max_epochs: 2, accelerator: cpu}", "track: {system_metrics: false}", more]
        Path("r.yaml").write_text("\n".join([f"task: {{{entries}}}", *lines]))
        return fit(load("r.yaml", settings))

    return trained
