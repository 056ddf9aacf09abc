"""A training that is stopped and goes on from its checkpoint ends with the same bits, whatever it is made of."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Callback, LightningDataModule, LightningModule
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, WeightedRandomSampler
from torchmetrics.classification import MulticlassAccuracy

from lab.engine.checkpoint import usable
from lab.engine.signals import Stopped
from lab.recipe import load
from lab.runner.assemble import assemble
from lab.runner.assembly import Assembly
from tests.parameters import long_but


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Rows that are augmented with all three global generators when they are read."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        import random

        row = torch.full((4,), i / 24) + torch.randn(4) + np.random.rand() + random.random()
        return row, torch.tensor(i % 3)


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    """The same rows, of which nobody knows how many there are; Lightning fetches a batch ahead."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rows = Noisy()
        return (rows[i] for i in range(24))


class Data(LightningDataModule):
    """Training data in each of the ways a DataLoader can shuffle it.

    Args:
        how: which.
    """

    def __init__(self, how: str = "shuffle") -> None:
        super().__init__()
        self.save_hyperparameters()
        self.how = how

    def train_dataloader(self) -> DataLoader[Any]:
        match self.how:
            case "weights":
                return DataLoader(Noisy(), 4, sampler=WeightedRandomSampler(torch.arange(24.0), 24))
            case "own generator":
                return DataLoader(Noisy(), 4, shuffle=True, generator=torch.Generator().manual_seed(5))
            case "workers":
                # torchrl makes `spawn` the default when it is imported, and each worker would import torch again.
                return DataLoader(Noisy(), 4, shuffle=True, num_workers=1, multiprocessing_context="fork")
            case "stream":
                return DataLoader(Stream(), 4)
        return DataLoader(Noisy(), 4, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Noisy(), 8)


class Net(LightningModule):
    """Dropout, a plateau schedule, averages over the epoch, values of the step, and a metric that lasts an epoch.

    Args:
        optimizers: 1, or 2 under manual optimisation.
    """

    def __init__(self, optimizers: int = 1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 3))
        self.accuracy, self.seldom = MulticlassAccuracy(3), MulticlassAccuracy(3)
        self.automatic_optimization = optimizers == 1

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor | None:
        rows, labels = batch
        logits = self.net(rows)
        loss = F.cross_entropy(logits, labels)
        self.accuracy(logits, labels)
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        self.log("train/worst", loss, on_step=False, on_epoch=True, reduce_fx="max")
        self.log("train/accuracy", self.accuracy, on_step=False, on_epoch=True)
        if batch_idx % 3 == 1:  # the same value is logged again until there is a newer one
            self.log("train/seldom", loss)
            self.seldom(logits, labels)
            self.log("train/seldom_accuracy", self.seldom, on_step=False, on_epoch=True)
        if self.automatic_optimization:
            return loss
        first, second = self.optimizers()
        for optimizer in (first, second):
            optimizer.zero_grad()
        self.manual_backward(loss)
        first.step()
        if torch.rand(()) < 0.5:
            second.step()
        return None

    def on_train_batch_end(self, *_: Any) -> None:
        self.log("noise", torch.rand(()), on_step=True, on_epoch=False)

    def on_train_epoch_start(self) -> None:
        with torch.no_grad():
            self.net[0].bias += 0.01 * torch.randn(8)

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        rows, labels = batch
        loss = F.cross_entropy(self.net(rows), labels)
        self.log("val/loss", loss)
        self.log("val/loss_of_batch", loss, on_step=True, on_epoch=False)

    def configure_optimizers(self) -> Any:
        if not self.automatic_optimization:
            return [torch.optim.Adam(self.net[0].parameters()), torch.optim.SGD(self.net[3].parameters(), lr=0.1)]
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.05)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val/loss", "strict": False}}


class Memory(Logger):
    """Keeps what is logged."""

    name, version = "memory", "0"

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[str, int | None, float]] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.rows += [(name, step, float(value)) for name, value in metrics.items()]

    def log_hyperparams(self, *_: Any, **__: Any) -> None: ...


class Interrupt(Callback):
    """Ctrl-C in one batch."""

    def __init__(self, assembly: Assembly, batch: int) -> None:
        self.assembly, self.left = assembly, batch

    def on_train_batch_start(self, *_: Any) -> None:
        self.left -= 1
        if not self.left:
            self.assembly.saver.signals.received = signal.SIGINT


def train(
    recipe: Path, overrides: list[str], folder: Path, stop: int = 0, go_on: bool = False
) -> tuple[Assembly, Memory]:
    assembly, memory = assemble(load(recipe, overrides)), Memory()
    assembly.saver.folder, assembly.best.dirpath = folder, str(folder)
    assembly.trainer.logger = memory
    assembly.trainer.callbacks.insert(0, Interrupt(assembly, stop))
    path = usable(folder) if go_on else None
    try:
        assembly.trainer.fit(
            assembly.module, datamodule=assembly.datamodule, ckpt_path=path, weights_only=True if path else None
        )
    except Stopped:
        assert stop
    return assembly, memory


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "exact.yaml"
    path.write_text(
        f"task: {{module: {__name__}:Net, data: {__name__}:Data, monitor: val/loss}}\n"
        "threads: 1\n"
        "trainer: {max_epochs: 3, log_every_n_steps: 1, accelerator: cpu, devices: 1}\n"
        "callbacks:\n"
        "- {class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: val/loss, patience: 2}}\n"
    )
    return path


WAYS = {
    "shuffled": [],
    "one batch an epoch": ["trainer.limit_train_batches=1", "trainer.max_epochs=9"],
    "counted in steps": ["trainer.max_epochs=null", "trainer.max_steps=15"],
    "validated in the middle": ["trainer.val_check_interval=2"],
    "validated every second epoch": ["trainer.check_val_every_n_epoch=2", "trainer.max_epochs=4"],
    "accumulated": ["trainer.accumulate_grad_batches=2"],
    "loaders made anew": ["trainer.reload_dataloaders_every_n_epochs=1"],
    "weighted": ["data.how=weights"],
    "generator of its own": ["data.how=own generator"],
    "two optimizers": ["model.optimizers=2"],
    "read by workers": ["data.how=workers", "trainer.max_epochs=2"],
    "without a length": ["data.how=stream"],
    "validated after steps of several epochs": ["trainer.val_check_interval=4", "trainer.check_val_every_n_epoch=null"],
}


FEWER = ("shuffled", "accumulated", "read by workers", "without a length")


@pytest.mark.slow
@pytest.mark.parametrize("way", long_but(FEWER, WAYS))
def test_stopped_anywhere_it_ends_with_the_same_bits_and_the_same_metrics(way: str, recipe: Path, tmp_path: Path):
    whole, logged = train(recipe, WAYS[way], tmp_path / "whole")
    batches = whole.trainer.fit_loop.epoch_loop.batch_progress.total.completed
    weights = whole.module.state_dict()
    stops = {6, 8, batches} | ({1, 4} if way == "shuffled" else set())  # start, middle and end of an epoch, and later
    for batch in stops - set(range(batches + 1, 9)):
        folder = tmp_path / str(batch)
        before, first = train(recipe, WAYS[way], folder, stop=batch)
        assert batch == batches or before.trainer.fit_loop.epoch_loop.batch_progress.total.completed < batches
        after, second = train(recipe, WAYS[way], folder, go_on=True)
        different = [
            name for name, tensor in after.module.state_dict().items() if not torch.equal(tensor, weights[name])
        ]
        assert not different, f"stopped in batch {batch}"
        assert Counter(first.rows + second.rows) == Counter(logged.rows), f"stopped in batch {batch}"
        assert after.best.best_model_score == whole.best.best_model_score
        assert after.trainer.current_epoch == whole.trainer.current_epoch
