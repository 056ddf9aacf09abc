"""A number for each sequence, or for each of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score

from lab import plots
from lab.data import Batch
from lab.errors import BadSetting
from lab.learning import Stage
from lab.networks import SequenceNetworkName, upcast
from lab.series import plots as draw
from lab.series.sequence_data import SequenceData
from lab.series.sequence_module import SequenceModule, gradient_ratio
from lab.task import Task


class RegressSequence(SequenceModule):
    """A number (B,) for each sequence (B, T, features), or numbers (B, T) where every step has one.

    Args:
        features: size of the input at each step; a fact of the data.
        length: steps of a sequence; a fact of the data.
        per_step: whether every step has a number; a fact of the data.
        class_names: names of classes, of which there may be none; a fact of the data.
        mean: mean of the targets; a fact of the data.
        std: their standard deviation; a fact of the data.
        network: rnn, lstm, gru, tcn (temporal convolution) or transformer.
    """

    def __init__(
        self,
        features: int,
        length: int,
        per_step: bool,
        class_names: list[str],
        mean: float,
        std: float,
        network: SequenceNetworkName = "lstm",
        **training: Any,
    ) -> None:
        if class_names:
            raise BadSetting("class_names", "the targets of this dataset are classes: use the task classify_sequence")
        super().__init__(features, length, per_step, class_names, network, **training)
        self.mean, self.std = mean, std
        self.metrics = MetricCollection(
            {"mse": MeanSquaredError(), "mae": MeanAbsoluteError(), "r2": R2Score()}, compute_groups=False
        )
        self.mean_mse = MeanSquaredError()

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).squeeze(-1) * self.std + self.mean

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Squared errors in units of the targets' variance, so that one learning rate does for all data."""
        errors = (outputs - y) / self.std
        return errors.square().flatten(1).mean(1) if self.per_step else errors.square()

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        x, y = batch["x"], batch["y"]
        predicted = upcast(self(x))
        self.metrics.update(predicted.flatten(), y.flatten())
        self.mean_mse.update(torch.full_like(y, self.mean).flatten(), y.flatten())
        return {"loss": self.losses(predicted, y), "x": x, "y": y, "predicted": predicted}

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        values = dict(self.metrics.compute())
        if stage == "test":
            values["mean/mse"] = self.mean_mse.compute()  # of always predicting the mean
            values["gradient_ratio"] = gradient_ratio(self.gradient_over_time())
        return values

    def report(self) -> None:
        first = self.examples.first
        picture = draw.curves if self.per_step else draw.scatter
        plots.log_figure(self, "predictions.png", picture(first["y"], first["predicted"]))
        plots.log_figure(self, "gradient.png", draw.gradient(self.gradient_over_time()))


TASK = Task(module=RegressSequence, data=SequenceData, monitor="val/mse", mode="min")
