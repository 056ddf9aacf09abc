"""The same seed gives the same weights, however a training is watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lab.runner.results import RunResult
from tests.runner.projects import Line, Rows, Run, loader

pytestmark = pytest.mark.slow  # whole trainings, if short ones


class Noisy(Line):
    """Draws random numbers in training and in validation, as a network with dropout does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(2, 16), nn.Dropout(0.5), nn.Linear(16, 1))

    def training_step(self, batch: list[Tensor]) -> Tensor:
        return self.loss(batch) * float(1 + np.random.rand())

    def validation_step(self, batch: list[Tensor]) -> None:
        noise = torch.randn(()) + float(np.random.rand())
        self.log("valid_loss", self.loss(batch) + 0 * noise)


class Shuffled(Rows):
    def val_dataloader(self) -> DataLoader[Any]:
        return loader(shuffle=True)


@pytest.fixture
def weights(run: Run) -> Any:
    def trained(*settings: str, more: str = "", monitor: str | None = None) -> dict[str, Tensor]:
        result: RunResult = run(Noisy, monitor, Shuffled, settings=settings, more=more)
        assert result.last is not None
        found: dict[str, Tensor] = torch.load(result.last, weights_only=True)["state_dict"]
        return found

    return trained


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    "setting",
    [
        "val_check_interval=1",
        "num_sanity_val_steps=0",
        "log_every_n_steps=1",
        pytest.param("val_check_interval=0.5", marks=pytest.mark.long),
        pytest.param("check_val_every_n_epoch=2", marks=pytest.mark.long),
        pytest.param("limit_val_batches=1", marks=pytest.mark.long),
        pytest.param("limit_val_batches=0", marks=pytest.mark.long),
    ],
)
def test_how_often_and_how_long_one_validates(weights: Any, setting: str) -> None:
    assert same(weights(), weights(f"trainer.{setting}"))


def test_another_seed_gives_others(weights: Any) -> None:
    assert not same(weights(), weights("seed=1"))


def test_progress_bars_and_callbacks(weights: Any) -> None:
    names = ("RichProgressBar", "RichModelSummary", "LearningRateMonitor", "DeviceStatsMonitor")
    entries = "".join(f"  - {{class_path: lightning.pytorch.callbacks.{name}}}\n" for name in names)
    assert same(weights(), weights(more=f"callbacks:\n{entries}"))
    assert same(weights(), weights(monitor="valid_loss"))


@pytest.mark.parametrize("kind", ["csv", "tensorboard"])
def test_mirrors(weights: Any, kind: str) -> None:
    assert same(weights(), weights(f"track.mirror=[{kind}]"))


def test_a_validation_leaves_every_generator_as_it_was(tmp_path: Path) -> None:
    from lab.engine.loop_state import generators_preserved

    L.seed_everything(3, verbose=False)
    expected = torch.rand(3), np.random.rand(3)
    L.seed_everything(3, verbose=False)
    with generators_preserved():
        torch.rand(5), np.random.rand(5)
    assert torch.equal(torch.rand(3), expected[0])
    assert (np.random.rand(3) == expected[1]).all()
