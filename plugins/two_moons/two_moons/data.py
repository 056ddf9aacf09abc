"""Scikit-learn's two moons as a LightningDataModule: made in a millisecond, kept in memory, served a batch at a time."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from lab.errors import BadSetting
from lightning import LightningDataModule
from sklearn.datasets import make_moons
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

Batch = tuple[Tensor, Tensor]  # points (B, 2) float32, labels (B,) int64


class MoonsData(LightningDataModule):
    """Points of two interleaved half circles, in three parts that share no point.

    The points depend on `data_seed` alone, so runs with different seeds train on the same data and can be compared.

    Args:
        n: points in all three parts together.
        noise: standard deviation of the Gaussian noise added to every coordinate.
        val_fraction: share of the points that chooses the best checkpoint.
        test_fraction: share of the points that is looked at once, at the very end.
        batch_size: points in a batch.
        data_seed: draws the points and their split.
    """

    def __init__(
        self,
        n: Annotated[int, Ge(10)] = 2000,
        noise: Annotated[float, Ge(0)] = 0.2,
        val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.2,
        test_fraction: Annotated[float, Gt(0), Lt(1)] = 0.2,
        batch_size: Annotated[int, Gt(0)] = 64,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.sizes = {"val": int(n * val_fraction), "test": int(n * test_fraction)}
        self.sizes["train"] = n - sum(self.sizes.values())
        if empty := [part for part, size in self.sizes.items() if size < 1]:  # no single range can say this
            raise BadSetting("n", f"{n} points, split by val_fraction and test_fraction, leave none for {empty[0]}")

    def facts(self) -> dict[str, int]:
        """What the module has to know about the data: asked for before `setup`, so it must cost nothing."""
        return {"features": 2, "classes": 2}

    def setup(self, stage: str) -> None:
        """Draw the points and split them; the same on every process, since only `data_seed` decides."""
        hp = self.hparams
        points, labels = make_moons(hp.n, noise=hp.noise, random_state=hp.data_seed)  # already shuffled
        points, labels = torch.as_tensor(points, dtype=torch.float32), torch.as_tensor(labels)
        order = ("train", "val", "test")
        sizes = [self.sizes[part] for part in order]
        self.parts = {
            part: InMemory(*tensors)
            for part, *tensors in zip(order, points.split(sizes), labels.split(sizes), strict=True)
        }

    def train_dataloader(self) -> DataLoader[Batch]:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._loader("test")

    def _loader(self, part: str, shuffle: bool = False) -> DataLoader[Batch]:
        return DataLoader(
            self.parts[part], batch_size=self.hparams.batch_size, shuffle=shuffle, collate_fn=already_a_batch
        )


class InMemory(TensorDataset):
    """Tensors that a DataLoader indexes once per batch instead of once per point."""

    def __getitems__(self, rows: list[int]) -> Batch:
        points, labels = self.tensors
        return points[rows], labels[rows]


def already_a_batch(batch: Batch) -> Batch:
    return batch
