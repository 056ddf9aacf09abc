"""Scikit-learn's two moons: a data module on the shared tables, and the record that `lab data` lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Lt
from lab.data import DatasetInfo, Split, Table, TableDataModule, concat
from lab.errors import BadSetting
from sklearn.datasets import make_moons


class MoonsData(TableDataModule):
    """Points of two interleaved half circles, in three parts that share no point.

    A batch holds `points` (B, 2) float32 and `label` (B,) int64. The points depend on `data_seed` alone, so runs with
    different seeds train on the same data and can be compared.

    Args:
        n: points in all three parts together.
        noise: standard deviation of the Gaussian noise added to every coordinate.
        val_fraction: share of the points that chooses the best checkpoint.
        test_fraction: share of the points that is looked at once, at the very end.
        batch_size: points in a batch.
        data_seed: samples the points and their split.
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
        super().__init__(batch_size)
        self.save_hyperparameters()
        self.sizes: dict[Split, int] = {"val": int(n * val_fraction), "test": int(n * test_fraction)}
        self.sizes["train"] = n - sum(self.sizes.values())
        if empty := [split for split, size in self.sizes.items() if size < 1]:  # no single range can say this
            raise BadSetting("n", f"{n} points, split by val_fraction and test_fraction, leave none for {empty[0]}")

    def facts(self) -> dict[str, int]:
        """The module's arguments that depend on the data: asked for before `setup`, so it must cost nothing."""
        return {"features": 2, "classes": 2}

    def load_tables(self, test: bool) -> Mapping[Split, Table]:
        """Sample the points and split them; the same on every process, since only `data_seed` decides."""
        hp = self.hparams
        points, labels = make_moons(hp.n, noise=hp.noise, random_state=hp.data_seed)  # already shuffled
        moons = Table({"points": torch.as_tensor(points, dtype=torch.float32), "label": torch.as_tensor(labels)})
        train, val = self.sizes["train"], self.sizes["val"]
        return {"train": moons[:train], "val": moons[train : train + val], "test": moons[train + val :]}


def read(split: Literal["train", "test"]) -> Table:
    """The points that the recipe learns from, or is tested on."""
    tables = MoonsData().load_tables(test=split == "test")
    return tables["test"] if split == "test" else concat([tables["train"], tables["val"]])


DATASET = DatasetInfo(
    name="two_moons",
    field="tabular",
    description="points of two interleaved half circles",
    source="scikit-learn's make_moons; BSD-3-Clause",
    origin="generated",
    read=read,
    train_rows=1_600,
    test_rows=400,
    columns={"points": "(N, 2) float32", "label": "(N,) int64"},
    classes=("upper", "lower"),
)
