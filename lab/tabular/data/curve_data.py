"""Pairs of numbers as a LightningDataModule: a known function with noise, or a file with two columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from lab.data import DatasetInfo, Split, Table, TableDataModule, check_fold, read_csv, train_val_test_split
from lab.errors import BadSetting

# name -> from x (N,) to y (N,), for x from -1 to 1
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "waves": lambda x: (2 * math.pi * x).sin() + 0.5 * (5 * math.pi * x).cos(),
    "bump": lambda x: torch.exp(-20 * x.square()) - 0.5 * x,
    "step": lambda x: x.sign(),
    "line": lambda x: 2 * x - 0.5,
}
Function = Literal["waves", "bump", "step", "line"]
ABOUT: dict[Function, str] = {"waves": "two sines", "bump": "a bell", "step": "a sign", "line": "a line"}
LEAST = 10  # pairs, of which two at least are left for each part


class CurveData(TableDataModule):
    """Batches of pairs: `x` (B, 1), and the `y` (B, 1) that belongs to it.

    Args:
        function: function to sample if there is no file: waves, bump, step or line, for x from -1 to 1.
        points: number of sampled pairs.
        noise: standard deviation of the noise added to the function values.
        path: CSV file with the columns x and y, with or without a header.
        val_fraction: fraction of the pairs for validation.
        test_fraction: fraction of the pairs for the test.
        folds: number of folds of cross-validation on the pairs outside the test, instead of `val_fraction`.
        fold: fold used for validation, from 0.
        batch_size: batch size.
        data_seed: seed of the sampled pairs and of the splits.
    """

    def __init__(
        self,
        function: Function = "waves",
        points: Annotated[int, Ge(LEAST)] = 500,
        noise: Annotated[float, Ge(0)] = 0.1,
        path: str | None = None,
        val_fraction: Annotated[float, Gt(0), Le(0.4)] = 0.2,
        test_fraction: Annotated[float, Gt(0), Le(0.4)] = 0.2,
        folds: Annotated[int, Ge(2), Le(LEAST // 2)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 32,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(batch_size)
        self.save_hyperparameters()
        check_fold(fold, folds)
        random = torch.Generator().manual_seed(data_seed)
        self.function, self.path = function, path
        pairs = _sampled(function, points, noise, random) if path is None else read(Path(path))  # (N, 2)
        self.table = Table({"x": pairs[:, :1].clone(), "y": pairs[:, 1:].clone()})
        order = torch.randperm(len(pairs), generator=random)
        train, val, test = train_val_test_split(order, val_fraction, test_fraction, fold, folds)
        self.rows: dict[Split, Tensor] = {"train": train, "val": val, "test": test}

    def facts(self) -> dict[str, Any]:
        """Means and standard deviations of x and y, and the function, where it is known."""
        train = self.table[self.rows["train"]]
        pairs = torch.cat([train["x"], train["y"]], 1)
        means, spreads = pairs.mean(0).tolist(), pairs.std(0).clamp(min=1e-6).tolist()
        return {"center": means, "spread": spreads, "function": self.function if self.path is None else None}

    def tags(self) -> dict[str, str]:
        """Tags of the run about its data."""
        name = self.function if self.path is None else Path(self.path).name
        return {"data.name": name, "data.origin": "generated" if self.path is None else "real"}

    def load_tables(self, test: bool) -> Mapping[Split, Table]:  # noqa: ARG002 - all of them are there
        return {split: self.table[rows] for split, rows in self.rows.items()}


def read(path: Path) -> Tensor:
    """The pairs (N, 2) of a CSV file.

    Raises:
        BadSetting: it is not there, or holds anything but `LEAST` or more pairs of finite numbers.
    """
    file = read_csv(path)
    if len(file.names) != 2:
        raise BadSetting("path", f"{path} has {len(file.names)} columns; expected two, x and y")
    pairs = torch.tensor([file.numbers(name) for name in file.names]).T
    if len(pairs) < LEAST:
        raise BadSetting("path", f"{path} has {len(pairs)} pairs; {LEAST} are needed to train, validate and test")
    return pairs


def _sampled(function: str, points: int, noise: float, random: torch.Generator) -> Tensor:
    x = torch.rand(points, generator=random) * 2 - 1
    return torch.stack([x, FUNCTIONS[function](x) + noise * torch.randn(points, generator=random)], 1)


def curve_datasets() -> list[DatasetInfo]:
    """The functions by name, as data sets of one feature."""
    return [
        DatasetInfo(
            name=name,
            field="tabular",
            description=f"a curve with noise, x from -1 to 1: {about}",
            source="generated by this package; free to use",
            origin="generated",
            read=partial(_read, name),
            train_rows=400,
            test_rows=100,
            columns={"x": "(N, 1) float", "y": "(N, 1) float"},
        )
        for name, about in ABOUT.items()
    ]


def _read(name: Function, split: Literal["train", "test"]) -> Table:
    data = CurveData(name)
    return data.table[data.rows["test"] if split == "test" else torch.cat([data.rows["train"], data.rows["val"]])]
