"""Lightning modules as other people write them, for the tests beside this file."""

from __future__ import annotations

from collections.abc import Callable

import lightning as L
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lab.runner.results import RunResult

Run = Callable[..., RunResult]


def loader(rows: int = 32, batch_size: int = 8, shuffle: bool = False) -> DataLoader:
    x = torch.linspace(-1, 1, 2 * rows).reshape(rows, 2)
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size, shuffle=shuffle)


class Rows(L.LightningDataModule):
    def train_dataloader(self) -> DataLoader:
        return loader(shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return loader()

    test_dataloader = val_dataloader


class Line(L.LightningModule):
    """Trains and nothing else; what it logs is up to its children."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def loss(self, batch: list[Tensor]) -> Tensor:
        return (self.layer(batch[0]) - batch[1]).square().mean()

    def training_step(self, batch: list[Tensor]) -> Tensor:
        return self.loss(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Judged(Line):
    def validation_step(self, batch: list[Tensor]) -> None:
        self.log("valid_loss", self.loss(batch))

    def test_step(self, batch: list[Tensor]) -> None:
        self.log("test_loss", self.loss(batch))
        self.log("mae", self.loss(batch).sqrt())
