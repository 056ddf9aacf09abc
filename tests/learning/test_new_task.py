"""A supervised task of one's own is one short file: network, loss, metrics, report; the rest comes from the floors."""

from __future__ import annotations

from pathlib import Path

import pytest

import lab
from lab.errors import RecipeError

TASK = """
from typing import Any

from sklearn.datasets import load_wine
import torch
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from lab import plots
from lab.data import Table, TableDataModule, stratified_permutation, train_val_split
from lab.learning import SupervisedModule
from lab.networks import MLP


class Wine(TableDataModule):
    def __init__(self, batch_size: int = 32):
        super().__init__(batch_size)

    def load_tables(self, test):
        x, y = (torch.tensor(part) for part in load_wine(return_X_y=True))
        table = Table({"x": ((x - x.mean(0)) / x.std(0)).float(), "label": y})
        rest, held = train_val_split(stratified_permutation(y, 0), 0.3)
        return {"test": table[held]} if test else {"train": table[rest], "val": table[held]}


class Classifier(SupervisedModule):
    num_worst_examples = 3

    def __init__(self, hidden: int = 16, **training: Any):
        super().__init__(**training)
        self.network = MLP(13, [hidden], 3)
        self.metrics = MetricCollection({"accuracy": MulticlassAccuracy(3, average="micro")})

    def training_loss(self, batch, progress):
        return F.cross_entropy(self.network(batch["x"]), batch["label"])

    def evaluate_batch(self, batch):
        logits = self.network(batch["x"])
        self.metrics.update(logits, batch["label"])
        return {"loss": F.cross_entropy(logits, batch["label"], reduction="none"), **batch}

    def report(self):
        with plots.figure() as (drawing, axes):
            axes.bar(range(3), self.examples.worst["loss"].cpu())
        plots.log_figure(self, "worst.png", drawing)
"""
RECIPE = """
task: {module: wine:Classifier, data: wine:Wine, monitor: val/accuracy, mode: max}
model: {lr: 0.05, optimizer: sgd, optimizer_args: {momentum: 0.9}, schedule: linear, warmup: 0.1, l1: 1.0e-4}
trainer: {max_epochs: 15, accelerator: cpu}
track: {system_metrics: false}
"""


@pytest.fixture
def recipe(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tracked)
    monkeypatch.syspath_prepend(str(tracked))
    Path("wine.py").write_text(TASK)
    Path("wine.yaml").write_text(RECIPE)
    return "wine.yaml"


@pytest.mark.slow
def test_forty_lines_are_trained_tested_and_tracked(recipe: str) -> None:
    assert len([line for line in TASK.splitlines() if line]) <= 45
    result = lab.run(recipe)
    assert result.score > 0.9
    assert result.metrics["test/loss"] < 0.3
    assert list(Path().rglob("worst.png"))
    with pytest.raises(RecipeError) as error:
        lab.run(recipe, "model.optimiser=sgd", "model.warmup=-1", "model.hidden=x")
    text = str(error.value)
    assert "unknown key 'optimiser'; did you mean 'optimizer'?" in text
    assert "model.warmup: expected a number at least 0, found -1" in text
    assert "model.hidden: expected a whole number, found 'x'" in text
    with pytest.raises(RecipeError, match=r"model\.optimizer_args: adam has no argument 'momentum'"):
        lab.run(recipe, "model.optimizer=adam")
