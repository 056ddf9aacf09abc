"""A run that makes its training data anew in later epochs resumes with those of the epoch in which it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset, WeightedRandomSampler

from lab.engine.checkpoint import LAST
from tests.engine.test_exact import train
from tests.parameters import long_but

pytestmark = pytest.mark.slow  # each trains several times


class Rows(Dataset[Any]):
    """Rows as rl4co keeps its instances, a list of dictionaries, or as a frame, which no checkpoint can hold."""

    def __init__(self, rows: Tensor, frame: bool = False) -> None:
        self.rows: Any = pd.DataFrame(rows.numpy()) if frame else [{"row": row.numpy()} for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        return self.rows.to_numpy(copy=True)[i] if isinstance(self.rows, pd.DataFrame) else self.rows[i]["row"]


class Others(Rows):
    """Of another class than the first ones."""


class Drawing(LightningModule):
    """Draws the training data of the next epoch at the end of an epoch, or when its loader is made.

    Args:
        how: in which shape.
    """

    def __init__(self, how: str = "attribute") -> None:
        super().__init__()
        self.how = how
        self.layer = nn.Linear(2, 1)

    def setup(self, stage: str) -> None:  # noqa: ARG002
        self.dataset = self.drawn()

    def drawn(self) -> Any:
        rows = torch.randn(6 + (self.global_step if self.how == "growing" else 0), 2)
        if self.how in ("dictionaries", "frame"):
            return Rows(rows, self.how == "frame")
        if self.how == "other class":
            return (Others if self.global_step else Rows)(rows)
        if self.how == "nested":
            both = ConcatDataset([TensorDataset(rows), TensorDataset(rows + 1)])
            return Subset(both, torch.randperm(12)[:6].tolist())
        return TensorDataset(rows)

    def on_train_epoch_end(self) -> None:
        if self.how not in ("weights", "in the loader"):
            self.dataset = self.drawn()

    def train_dataloader(self) -> DataLoader[Any]:
        if self.how == "weights":
            return DataLoader(self.dataset, 2, sampler=WeightedRandomSampler(torch.rand(6).pow(8).tolist(), 6))
        return DataLoader(self.drawn() if self.how == "in the loader" else self.dataset, 2)

    def training_step(self, batch: Any) -> Tensor:
        return (self.layer(batch[0] if isinstance(batch, list) else batch) - 1).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "drawing.yaml"
    path.write_text(
        f"task: {{module: {__name__}:Drawing}}\nthreads: 1\ntrainer: {{max_epochs: 3, accelerator: cpu, devices: 1, "
        "reload_dataloaders_every_n_epochs: 1}\n"
    )
    return path


WAYS = {
    "an attribute": [],
    "made by the loader": ["model.how=in the loader"],
    "of dictionaries": ["model.how=dictionaries"],
    "nested": ["model.how=nested"],
    "growing": ["model.how=growing"],
    "with weights of a sampler": ["model.how=weights"],
    "every second epoch": ["trainer.reload_dataloaders_every_n_epochs=2", "trainer.max_epochs=5"],
    "counted in steps": ["trainer.max_epochs=null", "trainer.max_steps=8"],
}


FEWER = ("an attribute", "every second epoch")


def weights(recipe: Path, settings: list[str], folder: Path, stop: int = 0, go_on: bool = False) -> Tensor:
    assembly, _ = train(recipe, settings, folder, stop, go_on)
    return torch.cat([p.detach().reshape(-1) for p in assembly.module.parameters()])


@pytest.mark.parametrize("way", long_but(FEWER, WAYS))
def test_it_goes_on_with_the_data_of_the_epoch(way: str, recipe: Path, tmp_path: Path) -> None:
    whole = weights(recipe, WAYS[way], tmp_path / "whole")
    for batch in (5, 7, 11) if way == "every second epoch" else (5, 7):  # within an epoch, and at the start of one
        folder = tmp_path / str(batch)
        weights(recipe, WAYS[way], folder, stop=batch)
        assert torch.equal(weights(recipe, WAYS[way], folder, go_on=True), whole), f"stopped in batch {batch}"


@pytest.mark.parametrize("how", ["frame", "other class"])
def test_what_cannot_be_put_back_is_named_when_saved_and_at_the_resume(
    how: str, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights(recipe, [f"model.how={how}"], tmp_path, stop=5)
    part = "Rows.rows" if how == "frame" else "Others.rows"
    assert f"checkpoints do not contain the training dataset {part}, which" in capsys.readouterr().err
    weights(recipe, [f"model.how={how}"], tmp_path, go_on=True)
    assert f"the checkpoint does not contain the training dataset {part} of this epoch" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["weights", "attribute"])
def test_only_what_differs_from_the_first_epoch_is_kept(how: str, recipe: Path, tmp_path: Path) -> None:
    weights(recipe, [f"model.how={how}"], tmp_path, stop=5)
    kept = torch.load(tmp_path / LAST, weights_only=True)["lab"]["reloaded"]["changed"]
    part = {"weights": "sampler WeightedRandomSampler.weights", "attribute": "dataset TensorDataset.tensors"}[how]
    assert list(kept) == [f"the training {part}"]
    weights(recipe, [f"model.how={how}"], tmp_path, go_on=True)
    assert "changed" not in torch.load(tmp_path / LAST, weights_only=True)["lab"]["reloaded"], "a run that has ended"
