"""`lab` in this process: what it prints, and the code it leaves with."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from lab.cli import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def lab(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Call it as one would type it, in an empty folder: `lab("run", "x.yaml")`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("LAB_DEBUG", raising=False)
    monkeypatch.setattr("lab.cli.terminal.working.FIRST_SECONDS", 1e6)  # the same words however busy the machine is

    def call(*arguments: str) -> Outcome:
        capsys.readouterr()
        with patch.dict(os.environ), pytest.raises(SystemExit) as leaving:  # what it sets ends with it
            main(arguments)
        assert isinstance(leaving.value.code, int)
        return Outcome(leaving.value.code, *capsys.readouterr())

    return call


GOOD = """\
task: ddpg
seed: 0
model: {lr: 1e-3, gamma: 0.9, hidden: [8]}
data: {env: Pendulum-v1, total_steps: 400, learning_starts: 200, batch_size: 8, eval_episodes: 1, test_episodes: 1}
trainer: {devices: 1, accelerator: cpu}
track: {experiment: cli, system_metrics: false}
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A recipe that works, in the folder where `lab` is called."""
    file = tmp_path / "good.yaml"
    file.write_text(GOOD)
    return Path("good.yaml")
