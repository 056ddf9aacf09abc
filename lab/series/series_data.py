"""A time series as a LightningDataModule: windows of the past, and what came after each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from lab.data import Batch, Gaps, Split, Table, TableDataModule, check_fold, find_dataset, read_csv, time_series_split
from lab.errors import BadSetting
from lab.series.baselines import Autoregression
from lab.series.series_dataset import SeriesDataset

LONGEST_AUTOREGRESSION = 64


class SeriesData(TableDataModule):
    """Batches of windows: `x` (B, window), the past, `y` (B, horizon), what came next, and the `time` of the window.

    Windows are divided along time: the oldest ones train, the newest ones test, and no value that is to be forecast in
    one part belongs to another. With folds, each fold validates on the stretch after all that it has learnt from.

    Args:
        name: name of the dataset, as listed by `lab data ls`.
        path: CSV file in the place of `name`, the oldest row first.
        column: series that is forecast; by default that of the dataset, or the only one of a file.
        delimiter: character between two cells of the file.
        encoding: encoding of the file.
        gaps: cells of the file without a value: refuse them, drop their rows, or interpolate between their neighbours.
        log: forecast the logarithm, for prices and whatever else grows by percentages; errors are those of the values.
        season: points after which the pattern repeats, for the seasonal naive forecast; by default that of the dataset.
        points: number of points of a generated series.
        window: points that a forecast sees.
        horizon: points that are forecast.
        val_fraction: fraction of the windows for validation.
        test_fraction: fraction of the windows for the test.
        folds: number of folds of cross-validation along time, instead of `val_fraction`.
        fold: fold used for validation, from 0.
        batch_size: batch size per process.
        data_seed: seed of a generated series.
    """

    def __init__(
        self,
        name: str = "seasonal",
        path: str | None = None,
        column: str | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
        gaps: Gaps = "refuse",
        log: bool = False,
        season: Annotated[int, Ge(2)] | None = None,
        points: Annotated[int, Ge(20)] | None = None,
        window: Annotated[int, Gt(0)] = 48,
        horizon: Annotated[int, Gt(0)] = 12,
        val_fraction: Annotated[float, Gt(0), Le(0.4)] = 0.15,
        test_fraction: Annotated[float, Gt(0), Le(0.4)] = 0.15,
        folds: Annotated[int, Ge(2)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 64,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(batch_size)
        self.save_hyperparameters(logger=False)  # else Lightning refuses a module with another `season`, a fact
        check_fold(fold, folds)
        dataset = find_dataset(name, SeriesDataset)  # a wrong name is one beside a path, too
        self.window, self.horizon, self.log = window, horizon, log
        if path is None:
            for key, value, default in (
                ("delimiter", delimiter, ","),
                ("encoding", encoding, "utf-8"),
                ("gaps", gaps, "refuse"),
            ):
                if value != default:
                    raise BadSetting(key, "says how a file is read; give its `path`, or leave it out")
            self.title, self.origin = name, dataset.origin
            self.season = season or dataset.season
            self.series = dataset.series(column, points, data_seed)
        else:
            self.title, self.origin, self.season = Path(path).name, "real", season
            if points is not None:
                raise BadSetting("points", "the file has the points that it has; leave it out")
            self.series = read_series(Path(path), column, delimiter, encoding, gaps)
        if log and not bool((self.series > 0).all()):
            raise BadSetting("log", f"{self.title} has values that are not above 0; their logarithm is not a number")
        if self.season is not None and self.season > window:
            needed = f"the seasonal naive forecast needs a whole season of {self.season} points"
            raise BadSetting("window", f"{needed}; found {window}")
        count = len(self.series) - window - horizon + 1
        if count < 1:
            needed = f"a window of {window} and a horizon of {horizon} need {window + horizon} points"
            raise BadSetting("window", f"{needed}; {self.title} has {len(self.series)}")
        train, val, test = time_series_split(count, val_fraction, test_fraction, horizon - 1, fold, folds)
        if not len(val) or not len(test):
            raise BadSetting("val_fraction", f"{self.title} has {count} windows, too few to train, validate and test")
        self.rows: dict[Split, Tensor] = {"train": train, "val": val, "test": test}
        self.seen = self.series[: int(train[-1]) + window + horizon]  # by the training
        if len(self.seen.unique()) == 1:
            raise BadSetting(
                "path" if path else "name", f"{self.title} is constant where it trains; nothing to forecast"
            )

    def facts(self) -> dict[str, Any]:
        """Sizes, scales of the training part, and the autoregression that was fitted to it."""
        seen = self.seen.log() if self.log else self.seen
        windows = seen.unfold(0, self.window + self.horizon, 1)
        changes = windows[:, self.window :] - windows[:, self.window - 1 : self.window]
        season = self.season or 1
        fitted = Autoregression.fit(seen, min(self.window, LONGEST_AUTOREGRESSION))
        return {
            "window": self.window,
            "horizon": self.horizon,
            "log": self.log,
            "season": self.season,
            "center": float(seen.mean()),
            "spread": float(seen.std()),
            "change": float(changes.square().mean().sqrt()),
            "naive_error": float((self.seen[season:] - self.seen[:-season]).abs().mean()),
            "autoregression": [fitted.intercept, *fitted.weights],
        }

    def tags(self) -> dict[str, str]:
        """Tags of the run about its data."""
        return {"data.name": self.title, "data.origin": self.origin}

    def load_tables(self, test: bool) -> Mapping[Split, Table]:  # noqa: ARG002 - all of them are there
        windows = self.series.float().unfold(0, self.window + self.horizon, 1)
        return {split: Table({"window": windows[rows], "time": rows}) for split, rows in self.rows.items()}

    def collate(self, rows: Table) -> Batch:
        x, y = (part.contiguous() for part in rows["window"].split([self.window, self.horizon], 1))
        return {"x": x, "y": y, "time": rows["time"]}


def read_series(path: Path, column: str | None, delimiter: str, encoding: str, gaps: Gaps) -> Tensor:
    """One column of a CSV file, (T,) in double precision.

    Raises:
        BadSetting: the file, or what is in it, cannot be used, or several columns might be meant.
    """
    file = read_csv(path, delimiter, encoding)
    if column is None:
        numeric = file.numeric()
        if len(numeric) != 1:
            found = f"the columns {', '.join(numeric)}; name one" if numeric else "no column of numbers"
            raise BadSetting("column", f"{path} has {found}")
        (column,) = numeric
    file.check_order()
    values = file.numbers(column, gaps)
    return torch.tensor(values, dtype=torch.float64)
