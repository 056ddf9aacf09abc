"""Rows of features with a target as a LightningDataModule, for classification and for regression."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from lab.data import (
    Split,
    Table,
    TableDataModule,
    check_count,
    check_fold,
    find_dataset,
    stratified_permutation,
    train_val_test_split,
    warn_near_duplicates,
)
from lab.errors import BadSetting, suggestion
from lab.tabular.data.encoder import Encoder, Missing
from lab.tabular.data.feature_dataset import FeatureDataset
from lab.tabular.data.frame import read_frame

if TYPE_CHECKING:
    from pandas import DataFrame, Series

LEAST = 10  # rows, of which two at least are left for each part
PER_CLASS = 3  # one to train, one to validate and one to test with
MOST_CLASSES = 50  # of a target of numbers


class FeatureData(TableDataModule):
    """Batches of rows: `x` (B, inputs) in the units of the data, and the target.

    Categories become inputs of 0 and 1, and what takes the place of a missing value comes from the training rows alone,
    those of the fold where there are folds.

    Args:
        name: name of the dataset, as listed by `lab data ls`.
        path: CSV or Parquet file in the place of `name`, with the names of its columns.
        target: column of the file that is predicted.
        drop: columns that are left out.
        categories: columns whose numbers are names, such as a postal code; columns of texts are categories anyway.
        missing: features without a value: refuse them, drop their rows, or take the mean or the median of the training
            rows, for a category the most frequent one.
        delimiter: character between two cells of a CSV file.
        encoding: encoding of a CSV file.
        val_fraction: fraction of all rows for validation.
        test_fraction: fraction of all rows for the test.
        folds: number of folds of cross-validation on the rows outside the test, instead of `val_fraction`.
        fold: fold used for validation, from 0.
        batch_size: batch size per process.
        data_seed: seed of generated rows and of the splits.
    """

    def __init__(
        self,
        name: str = "iris",
        path: str | None = None,
        target: str | None = None,
        drop: list[str] = [],  # noqa: B006 - never changed
        categories: list[str] = [],  # noqa: B006
        missing: Missing = "refuse",
        delimiter: str = ",",
        encoding: str = "utf-8",
        val_fraction: Annotated[float, Gt(0), Le(0.4)] = 0.2,
        test_fraction: Annotated[float, Gt(0), Le(0.4)] = 0.2,
        folds: Annotated[int, Ge(2)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 32,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(batch_size)
        self.save_hyperparameters()
        check_fold(fold, folds)
        dataset = find_dataset(name, FeatureDataset)  # a wrong name is one beside a path, too
        if path is None:
            for key, value, default in (
                ("target", target, None),
                ("categories", categories, []),
                ("delimiter", delimiter, ","),
                ("encoding", encoding, "utf-8"),
            ):
                if value != default:
                    raise BadSetting(key, "says how a file is read; give its `path`, or leave it out")
            self.title, self.origin, target = name, dataset.origin, dataset.target
            frame, self.classes = dataset.frame(data_seed), dataset.classes
        else:
            self.title, self.origin, self.classes = Path(path).name, "real", ()
            frame = read_frame(Path(path), delimiter, encoding, categories)
            target = _named(frame, target, self.title)
        features, self.target = _divided(frame, target, drop, missing, self.title)
        self.y, order = self.prepare_target(self.target, data_seed)
        train, val, test = train_val_test_split(order, val_fraction, test_fraction, fold, folds)
        self.rows: dict[Split, Tensor] = {"train": train, "val": val, "test": test}
        self.encoder = Encoder.fit(features.iloc[train.tolist()], missing, self.title)
        self.x = self.encoder(features)

    @abstractmethod
    def prepare_target(self, target: Series[Any], seed: int) -> tuple[dict[str, Tensor], Tensor]:
        """The column of the table that is predicted, by its name, and a random order of the rows, (N,).

        Raises:
            BadSetting: the column cannot be predicted by this task.
        """

    def facts(self) -> dict[str, Any]:
        """The number of inputs, and the names of the classes, of which a number has none."""
        return {"in_features": self.x.shape[1], "class_names": list(self.classes)}

    def tags(self) -> dict[str, str]:
        """Tags of the run about its data."""
        return {"data.name": self.title, "data.origin": self.origin}

    def load_tables(self, test: bool) -> Mapping[Split, Table]:  # noqa: ARG002 - all of them are there
        whole = Table({"x": self.x, **self.y})
        return {split: whole[rows] for split, rows in self.rows.items()}


class LabeledFeatureData(FeatureData):
    """Rows whose target is a class: `label` (B,). Every part has about the share of each class that the whole has."""

    def prepare_target(self, target: Series[Any], seed: int) -> tuple[dict[str, Tensor], Tensor]:
        if target.dtype == np.float64 and (len(target.unique()) > MOST_CLASSES or bool((target % 1 != 0).any())):
            found = f"column {target.name} of {self.title} has {len(target.unique())} different numbers"
            raise BadSetting("target", f"{found}, which are no classes; use the task regress_tabular")
        names = [f"{value:g}" if isinstance(value, float) else str(value) for value in target]
        known = self.classes or tuple(sorted(set(names), key=float if target.dtype == np.float64 else str))
        warn_near_duplicates(known, f"column {target.name} of {self.title}")
        numbers = {name: number for number, name in enumerate(known)}
        labels = torch.tensor([numbers[name] for name in names])
        counts = labels.bincount(minlength=len(known))
        if len(known) < 2 or int(counts.min()) < PER_CLASS:
            rarest = known[int(counts.argmin())]
            found = f"class {rarest!r} of {self.title} has {int(counts.min())} rows, and {PER_CLASS} are needed"
            one = f"column {target.name} of {self.title} has one class, {known[0]!r}; two are needed"
            raise BadSetting("target", found if len(known) > 1 else one)
        self.classes = known
        return {"label": labels}, stratified_permutation(labels, seed)


class MeasuredFeatureData(FeatureData):
    """Rows whose target is a number: `y` (B, 1).

    Args:
        name: name of the dataset, as listed by `lab data ls`.
    """

    def __init__(self, name: str = "diabetes", **settings: Any) -> None:
        super().__init__(name, **settings)

    def prepare_target(self, target: Series[Any], seed: int) -> tuple[dict[str, Tensor], Tensor]:
        if self.classes or target.dtype != np.float64:
            found = f"column {target.name} of {self.title} holds classes"
            raise BadSetting("target" if not self.classes else "name", f"{found}; use the task classify_tabular")
        y = torch.tensor(target.to_numpy()).float().unsqueeze(1)
        if len(y.unique()) == 1:
            raise BadSetting("target", f"column {target.name} of {self.title} is constant; there is nothing to predict")
        return {"y": y}, torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))


def _named(frame: DataFrame, target: str | None, title: str) -> str:
    if target is None:
        raise BadSetting("target", f"name the column of {title} that is predicted: {', '.join(frame.columns)}")
    if target not in frame:
        raise BadSetting("target", f"{title} has no column {target!r}{suggestion(target, frame.columns, 'it has')}")
    return target


def _divided(
    frame: DataFrame, target: str, drop: Sequence[str], missing: Missing, title: str
) -> tuple[DataFrame, Series[Any]]:
    """The features and the target of the rows that are used."""
    for column in drop:
        if column not in frame or column == target:
            known = [name for name in frame if name != target]
            raise BadSetting("drop", f"{title} has no feature {column!r}{suggestion(column, known, 'it has')}")
    frame = frame.drop(columns=list(drop))
    if "" in frame:  # so does pandas write the numbers of rows, which predict whatever the rows are sorted by
        place = list(frame).index("") + 1
        raise BadSetting("drop", f"column {place} of {title} has no name; add '' to data.drop, or name it")
    if missing == "drop":
        frame = frame.dropna().reset_index(drop=True)
    gaps = frame.isna()
    if gaps[target].any():
        row = int(gaps[target].to_numpy().argmax()) + 1
        advice = "fill it in, or set missing to drop to leave such rows out"
        raise BadSetting("missing", f"{title}: row {row} has no {target}; {advice}")
    if missing == "refuse" and gaps.to_numpy().any():
        column = gaps.columns[gaps.any().to_numpy().argmax()]
        row = int(gaps[column].to_numpy().argmax()) + 1
        found = f"{title}: row {row} has no {column}, and {int(gaps.any(axis=1).sum())} rows have gaps"
        raise BadSetting("missing", f"{found}; set missing to mean, median or drop")
    check_count(title, len(frame), "rows", LEAST)
    if len(frame.columns) < 2:
        raise BadSetting("path", f"{title} has no column besides {target}; there is nothing to predict from")
    return frame.drop(columns=target), frame[target]
