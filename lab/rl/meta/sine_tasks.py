"""A distribution of regression tasks: sines whose amplitude and phase are drawn for each task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt

from lab.data import Split, Table, TableDataModule, seed_from

AMPLITUDES, PHASES, INPUTS = (0.1, 5.0), (0.0, math.pi), (-5.0, 5.0)  # uniform; Finn et al. 2017, section 5.1
EVAL_QUERIES = 100  # points that measure the error on a task of validation or test


class SineTasks(TableDataModule):
    """Batches of tasks, each with points to adapt to and others that measure the error after it.

    A batch has `support_x` and `support_y` (B, shots, 1), `query_x` and `query_y` (B, queries, 1). A task is
    y = a sin(x - p) with a from 0.1 to 5, p from 0 to pi and x from -5 to 5. No task is in two of the parts.

    Args:
        shots: points of a task to adapt to, K.
        queries: further points of a task, which the loss of a training is measured on.
        num_tasks: tasks of an epoch.
        val_tasks: tasks of the validation.
        test_tasks: tasks of the test.
        batch_size: tasks of an update.
        data_seed: seed of tasks and points.
    """

    def __init__(
        self,
        shots: Annotated[int, Gt(0)] = 10,
        queries: Annotated[int, Gt(0)] = 10,
        num_tasks: Annotated[int, Gt(0)] = 50_000,
        val_tasks: Annotated[int, Gt(0)] = 200,
        test_tasks: Annotated[int, Gt(0)] = 1_000,
        batch_size: Annotated[int, Gt(0)] = 25,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(batch_size)
        self.save_hyperparameters()
        self.shots, self.queries, self.data_seed = shots, queries, data_seed
        self.sizes: dict[Split, int] = {"train": num_tasks, "val": val_tasks, "test": test_tasks}

    def facts(self) -> dict[str, Any]:
        """`shots`, for the titles of plots."""
        return {"shots": self.shots}

    def tags(self) -> dict[str, str]:
        """Tags of the run about its data."""
        return {"data.name": "sines", "data.origin": "generated"}

    def load_tables(self, test: bool) -> Mapping[Split, Table]:
        if test:
            return {"test": self._sampled("test", 2, EVAL_QUERIES)}
        return {"train": self._sampled("train", 0, self.queries), "val": self._sampled("val", 1, EVAL_QUERIES)}

    def _sampled(self, split: Split, stream: int, queries: int) -> Table:
        random = torch.Generator().manual_seed(seed_from(self.data_seed, stream))
        count = self.sizes[split]

        def uniform(low: float, high: float, points: int) -> torch.Tensor:
            return low + (high - low) * torch.rand(count, points, 1, generator=random)

        amplitude, phase = uniform(*AMPLITUDES, 1), uniform(*PHASES, 1)
        columns = {}
        for name, points in (("support", self.shots), ("query", queries)):
            x = columns[f"{name}_x"] = uniform(*INPUTS, points)
            columns[f"{name}_y"] = amplitude * (x - phase).sin()
        return Table(columns)
