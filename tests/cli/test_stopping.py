"""Signals: a run in a process of its own is stopped, leaves cleanly, and goes on to the numbers it would have had."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from processes import Started, lab

pytestmark = pytest.mark.slow

SLOW = """\
import time
import torch
from lightning import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    def __len__(self):
        return 400

    def __getitem__(self, i):
        time.sleep(0.02)
        return torch.randn(4) + i / 400


class Data(LightningDataModule):
    def train_dataloader(self):
        return DataLoader(Rows(), 4, shuffle=True, num_workers=2)

    def val_dataloader(self):
        return DataLoader(torch.zeros(2, 4), 2)


class Net(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def training_step(self, batch):
        return self.layer(batch).square().mean()

    def validation_step(self, batch):
        self.log("val/loss", self.layer(batch).square().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())
"""
RECIPE = """\
task: {module: slow:Net, data: slow:Data, monitor: val/loss}
threads: 1
trainer: {max_epochs: 1, accelerator: cpu, devices: 1}
checkpoint: {seconds: 0.1}
track: {system_metrics: false}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    """Where runs are started, with one in it that was left alone: its weights are those to reach."""
    made = tmp_path_factory.mktemp("stopping")
    shutil.copy(empty_database, made)
    (made / "slow.py").write_text(SLOW)
    (made / "slow.yaml").write_text(RECIPE)
    assert lab(made, "run", "slow.yaml").returncode == 0
    return made


@pytest.fixture
def children() -> Iterator[list[psutil.Process]]:
    """Filled by a test with the processes that must be gone at its end."""
    found: list[psutil.Process] = []
    yield found
    _, alive = psutil.wait_procs(found, timeout=8)
    assert not alive


def checkpoints(folder: Path) -> set[Path]:
    return set(folder.glob("mlruns/*/*/artifacts/checkpoints/last.ckpt"))


def training(folder: Path) -> tuple[Started, Path]:
    """A run that has written its first checkpoint, and that checkpoint."""
    before = checkpoints(folder)
    process = Started(folder, "lab", "run", "slow.yaml", "--json")
    while not checkpoints(folder) - before:
        assert process.poll() is None
        time.sleep(0.01)
    return process, (checkpoints(folder) - before).pop()


def shared_memory(pid: int) -> list[Path]:
    """What this process has made of it; PyTorch's names for it begin so."""
    return [*Path("/dev/shm").glob(f"torch_{pid}_*")]


def resumed(folder: Path, run: str) -> dict[str, Any]:
    done = lab(folder, "resume", run, "--json")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def weights(path: Path | str) -> dict[str, torch.Tensor]:
    kept: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return kept


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)]
)
def test_one_signal_saves_marks_and_leaves_nothing_behind(
    folder: Path, children: list[psutil.Process], signum: int, code: int
):
    whole = next(iter(checkpoints(folder)))
    process, checkpoint = training(folder)
    children += psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2, "workers read the data"
    process.send_signal(signum)
    _, said = process.communicate(timeout=60)
    run = checkpoint.parents[2].name
    assert process.returncode == code
    assert f"run {run[:8]} is marked KILLED; lab resume {run[:8]} continues it" in said
    assert not any(shared_memory(pid) for pid in (process.pid, *(child.pid for child in children)))
    listed = json.loads(lab(folder, "runs", "--json").stdout)
    assert next(row["status"] for row in listed if row["run_id"] == run) == "KILLED"

    result = resumed(folder, run)
    assert result["run_id"] == run
    expected, found = weights(whole), weights(result["last"])
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_second_signal_leaves_at_once_and_takes_its_workers_along(folder: Path, children: list[psutil.Process]):
    process, checkpoint = training(folder)
    children += psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGSTOP)  # both arrive before anything can be done about the first
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    os.kill(process.pid, signal.SIGCONT)
    assert process.wait(10) in (130, 143)
    assert resumed(folder, checkpoint.parents[2].name)["status"] == "FINISHED"


def test_a_run_that_is_alive_is_not_resumed(folder: Path):
    process, checkpoint = training(folder)
    os.kill(process.pid, signal.SIGSTOP)  # alive for as long as this test needs it
    run = checkpoint.parents[2].name
    refused = lab(folder, "resume", run)
    process.kill()
    process.wait(10)
    assert refused.returncode == 2
    assert f"run {run[:8]} is still running" in refused.stderr
