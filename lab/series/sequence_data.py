"""Any set of sequences as a LightningDataModule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt
from torch.nn import functional as F

from lab.data import Batch, Split, Table, TableDataModule, check_fold, find_dataset, train_val_split
from lab.errors import BadSetting
from lab.series.sequence_dataset import SequenceDataset


class SequenceData(TableDataModule):
    """Batches of sequences: `x` (B, T, features), and `y`: a class or a number for each sequence (B,) or step (B, T).

    Which sequences there are and how they are divided depends on `data_seed` alone, so runs with different seeds are
    compared on the same ones.

    Args:
        name: name of the dataset, as listed by `lab data ls`.
        length: length of generated sequences; by default that of the dataset.
        max_sequences: number of sequences for training and validation together; by default all, for generated datasets
            the listed number.
        batch_size: batch size per process.
        val_fraction: fraction of the sequences for validation.
        folds: number of folds of cross-validation, instead of `val_fraction`.
        fold: fold used for validation, from 0.
        data_seed: seed of generated sequences and of the splits.
    """

    def __init__(
        self,
        name: str = "adding",
        length: Annotated[int, Ge(2)] | None = None,
        max_sequences: Annotated[int, Ge(2)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 64,
        val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1,
        folds: Annotated[int, Ge(2)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(batch_size)
        self.save_hyperparameters(logger=False)  # else Lightning refuses a module with another `length`, a fact
        check_fold(fold, folds)
        self.dataset = find_dataset(name, SequenceDataset)
        first = self.dataset.load("train", 2, length=length, seed=data_seed)  # so that a wrong length is refused here
        self.steps = first["x"].shape[1]
        if max_sequences is not None and self.dataset.origin == "real":
            there = len(self.dataset.load("train", max_sequences, length=length, seed=data_seed))
            if there < max_sequences:
                found = f"{name} has {there} sequences to learn from, found {max_sequences}"
                raise BadSetting("max_sequences", found)
        self.length, self.max_sequences, self.data_seed = length, max_sequences, data_seed
        self.val_fraction, self.fold, self.folds = val_fraction, fold, folds

    def facts(self) -> dict[str, Any]:
        """Sizes, and what is to be said about a sequence."""
        of = self.dataset
        return {
            "features": of.features,
            "length": self.steps,
            "per_step": of.per_step,
            "class_names": list(of.classes),
            "mean": of.mean,
            "std": of.std,
        }

    def tags(self) -> dict[str, str]:
        """Tags of the run about its data."""
        return {"data.name": self.dataset.name, "data.origin": self.dataset.origin}

    def load_tables(self, test: bool) -> Mapping[Split, Table]:
        """
        Raises:
            BadSetting: that leaves no sequence to train with.
        """
        options = {"length": self.length, "seed": self.data_seed}
        if test:
            return {"test": self.dataset.load("test", **options)}
        whole = self.dataset.load("train", self.max_sequences, **options)
        order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(self.data_seed))
        train, val = train_val_split(order, self.val_fraction, self.fold, self.folds)
        return {"train": whole[train], "val": whole[val]}

    def collate(self, rows: Table) -> Batch:
        x = rows["x"]
        if x.ndim == 2:
            x = F.one_hot(x.long(), self.dataset.features).float()
        return {"x": x, "y": rows[self.dataset.target]}
