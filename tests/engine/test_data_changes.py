"""A data set that changed between a run and its resumption is said aloud, by name, and one that did not is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lab.engine.checkpoint import LAST
from lab.engine.data_changes import DATA
from lab.recipe import load
from lab.runner.assemble import assemble
from lab.runner.training import train
from lab.testing.memory import MemoryLogger

AROUND: dict[str, Any] = {"version": 1, "classes": 2}  # what is neither a file nor a row


class Rows(LightningDataModule):
    """Rows of a CSV file.

    Args:
        csv: the file.
    """

    def __init__(self, csv: str = "rows.csv") -> None:
        super().__init__()
        self.csv = csv

    def facts(self) -> dict[str, Any]:
        return {"classes": AROUND["classes"]}

    def fingerprint(self) -> dict[str, Any]:
        return {"version": AROUND["version"]}

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.tensor(np.loadtxt(self.csv), dtype=torch.float32)), 2)


class Line(LightningModule):
    """One layer.

    Args:
        classes: outputs.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(1, classes)

    def training_step(self, batch: list[Tensor]) -> Tensor:
        return self.layer(batch[0].unsqueeze(1)).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class OwnLoader(Line):
    """The same with a loader of its own."""

    def __init__(self, csv: str = "rows.csv") -> None:
        super().__init__(1)
        self.csv = csv

    train_dataloader = Rows.train_dataloader


def run(epochs: int, module: str, *overrides: str) -> None:
    """Trains up to that epoch, from `last.ckpt` on if there is one."""
    folder = Path("checkpoints").absolute()
    given = [f"trainer.max_epochs={epochs}", *overrides]
    checkpoint = folder / LAST if (folder / LAST).exists() else None
    if checkpoint is not None:  # as a run that has not ended
        stored = torch.load(checkpoint, weights_only=True)
        stored["lab"]["trained"] = False
        from lab import files

        files.save(stored, checkpoint)
    train(assemble(load(Path(f"{module}.yaml"), given)), MemoryLogger(), folder, checkpoint)


@pytest.fixture(autouse=True)
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for key, value in {"version": 1, "classes": 2}.items():
        monkeypatch.setitem(AROUND, key, value)
    for module, data in {"Line": f", data: {__name__}:Rows", "OwnLoader": ""}.items():
        Path(f"{module}.yaml").write_text(
            f"task: {{module: {__name__}:{module}{data}}}\ntrainer: {{max_epochs: 1, accelerator: cpu, devices: 1}}\n"
        )
    Path("rows.csv").write_text("1\n2\n3\n4\n")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return "\n".join(line for line in capsys.readouterr().err.splitlines() if "the data changed" in line)


def moved() -> str:
    Path("elsewhere").mkdir()
    shutil.move("rows.csv", "elsewhere/rows.csv")
    return "data.csv=elsewhere/rows.csv"


@pytest.mark.slow
def test_the_same_data_is_no_change_wherever_it_lies(capsys: pytest.CaptureFixture[str]):
    run(1, "Line")
    run(2, "Line")
    run(3, "Line", moved())
    assert said(capsys) == ""
    assert json.loads((Path("checkpoints") / DATA).read_text())["settings"]["data.csv"]["files"] == 1


CHANGES: dict[str, tuple[Callable[[], Any], str]] = {
    "another number": (lambda: Path("rows.csv").write_text("1\n2\n3\n5\n"), "data.csv: other contents"),
    "a row more": (lambda: Path("rows.csv").write_text("1\n2\n3\n4\n5\n"), "data.csv: bytes 10, was 8"),
    "its own word": (lambda: AROUND.update(version=2), "fingerprint: version 2, was 1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_named_and_the_run_goes_on(change: str, capsys: pytest.CaptureFixture[str]):
    run(1, "Line")
    act, words = CHANGES[change]
    act()
    run(2, "Line")
    assert f"the data changed since the run was saved: {words}; results may differ" in said(capsys)
    run(3, "Line")
    assert said(capsys) == "", "said once"


@pytest.mark.slow
def test_rows_in_memory_are_compared_without_a_file(capsys: pytest.CaptureFixture[str]):
    run(1, "OwnLoader")
    Path("rows.csv").write_text("1\n2\n3\n5\n")
    run(2, "OwnLoader")
    assert said(capsys).splitlines() == [
        f"the data changed since the run was saved: {where}: other contents; results may differ"
        for where in ("model.csv", "train data")
    ]


@pytest.mark.slow
def test_another_number_of_classes_is_said_before_the_weights_do_not_fit(capsys: pytest.CaptureFixture[str]):
    run(1, "Line")
    AROUND["classes"] = 3
    with pytest.raises(RuntimeError, match="size mismatch"):
        run(2, "Line")
    assert "facts: classes 3, was 2" in said(capsys)


@pytest.mark.slow
def test_an_environment_with_other_bounds_or_another_time_limit_is_named(capsys: pytest.CaptureFixture[str]):
    import gymnasium as gym
    from gymnasium.envs.classic_control.pendulum import PendulumEnv

    class Weaker(PendulumEnv):
        torque = 2.0

        def __init__(self, render_mode: str | None = None) -> None:
            super().__init__(render_mode)
            self.action_space = gym.spaces.Box(-self.torque, self.torque, (1,), np.float32)

    Path("ppo.yaml").write_text(
        "task: ppo\ntrainer: {accelerator: cpu, devices: 1}\nmodel: {batch_size: 32}\n"
        "data: {env: Weaker-v0, total_steps: 64, num_envs: 1, num_steps: 32, eval_every: 32, eval_episodes: 1}\n"
    )
    gym.register("Weaker-v0", Weaker, max_episode_steps=20)
    try:
        run(1, "ppo")
        run(2, "ppo")
        assert said(capsys) == ""
        gym.registry["Weaker-v0"].max_episode_steps = 30
        Weaker.torque = 1.5
        run(3, "ppo")
        words = said(capsys)
        assert "action_space Box(-1.5, 1.5, (1,), float32), was Box(-2.0, 2.0, (1,), float32)" in words
        assert "max_episode_steps 30, was 20" in words
    finally:
        del gym.registry["Weaker-v0"]
