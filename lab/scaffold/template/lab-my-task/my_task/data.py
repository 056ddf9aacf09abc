"""A noisy sine: points x (B, 1) and values y (B, 1), drawn once and kept in memory."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt
from lightning import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset


class MyTaskData(LightningDataModule):
    """Noisy values of sin(x) for x between -3 and 3.

    Args:
        n: training points; validation and test get as many each.
        noise: standard deviation of the noise added to every value.
        batch_size: points in a batch.
        data_seed: draws the points, whatever the seed of the run.
    """

    def __init__(
        self,
        n: Annotated[int, Gt(0)] = 500,
        noise: Annotated[float, Ge(0)] = 0.1,
        batch_size: Annotated[int, Gt(0)] = 50,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    def facts(self) -> dict[str, int]:
        """What the module must know about the data; passed to it as keywords, before `setup`."""
        return {"inputs": 1, "outputs": 1}

    def setup(self, stage: str) -> None:
        random = torch.Generator().manual_seed(self.hparams.data_seed)
        x = 6 * torch.rand(3, self.hparams.n, 1, generator=random) - 3
        y = x.sin() + self.hparams.noise * torch.randn(x.shape, generator=random)
        self.train, self.val, self.test = (TensorDataset(*part) for part in zip(x, y, strict=True))

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, self.hparams.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, self.hparams.batch_size)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test, self.hparams.batch_size)
