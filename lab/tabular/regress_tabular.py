"""Regression on rows of features: linear, MLP, radial basis functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from annotated_types import Gt
from torch import Tensor
from torchmetrics import (
    CatMetric,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MetricCollection,
    R2Score,
)

from lab import plots
from lab.data import Batch
from lab.learning import Stage
from lab.networks import upcast
from lab.tabular import plots as draw
from lab.tabular.baselines import value_baselines
from lab.tabular.data.feature_data import MeasuredFeatureData
from lab.tabular.feature_module import FeatureModule
from lab.tabular.losses import ValueLoss, value_losses
from lab.tabular.network import Standardize
from lab.task import Task


class RegressTabular(FeatureModule):
    """Predictions (B, 1) of rows (B, inputs), both in the units of the data.

    Args:
        in_features: number of inputs; a fact of the data.
        class_names: of a target that is a class: none; a fact of the data.
        loss: mse, mae, mape (relative errors) or huber; all but mape are of standardised targets.
        huber_delta: error in standard deviations of the target from which huber grows along a line.
    """

    def __init__(
        self,
        in_features: int,
        class_names: list[str],
        loss: ValueLoss = "mse",
        huber_delta: Annotated[float, Gt(0)] = 1.0,
        **settings: Any,
    ) -> None:
        super().__init__(in_features, class_names, **settings)
        self.loss, self.huber_delta, self.target_scale = loss, huber_delta, Standardize(1)
        self.metrics = MetricCollection(
            {
                "mse": MeanSquaredError(),
                "mae": MeanAbsoluteError(),
                "mape": MeanAbsolutePercentageError(),
                "r2": R2Score(),
            },
            compute_groups=False,
        )
        self.predicted, self.target = CatMetric(), CatMetric()

    def setup(self, stage: str) -> None:
        trainer: Any = self.trainer
        if stage == "fit" and trainer.ckpt_path is None and not self.network.fitted:
            self.target_scale.fit(self.part("train")["y"])
        super().setup(stage)

    def forward(self, x: Tensor) -> Tensor:
        return self.target_scale.inverse(self.network(x))

    def losses(self, predicted: Tensor, y: Tensor) -> Tensor:
        return value_losses(self.loss, predicted, y, self.target_scale.std, self.huber_delta)

    def training_loss(self, batch: Batch, progress: float) -> Tensor:  # noqa: ARG002
        return self.losses(upcast(self(batch["x"])), batch["y"]).mean()

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        predicted, y = upcast(self(batch["x"])), batch["y"]
        self.metrics.update(predicted, y)
        self.predicted.update(predicted)
        self.target.update(y)
        return {"loss": self.losses(predicted, y)}

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        values = dict(self.metrics.compute())
        if stage == "test":
            train, test = self.part("train"), self.part("test")
            y, x = test["y"].squeeze(1).cpu().numpy(), test["x"].cpu().numpy()
            fitted = value_baselines(train["x"].cpu().numpy(), train["y"].squeeze(1).cpu().numpy())
            for name, model in fitted.items():
                errors = model.predict(x) - y
                values[f"{name}/mse"] = float(np.square(errors).mean())
                values[f"{name}/mae"] = float(np.abs(errors).mean())
            values["mean/mse"] = float(np.square(y - float(train["y"].mean())).mean())
        return values

    def score(self, x: Tensor) -> float:
        y = self.part("test")["y"]
        return 1 - float((self(x) - y).square().sum() / (y - y.mean()).square().sum())

    def report(self) -> None:
        predicted, target = (each.compute().view(-1).cpu() for each in (self.predicted, self.target))
        plots.log_figure(self, "residuals.png", draw.residuals(predicted, target))
        self.draw_importance("r2")


TASK = Task(module=RegressTabular, data=MeasuredFeatureData, monitor="val/mse", mode="min")
