"""Classification of rows of features: perceptron, logistic regression, MLP, radial basis functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import CatMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError, MulticlassF1Score
from torchmetrics.functional.classification import multiclass_auroc, multiclass_confusion_matrix

from lab import plots
from lab.data import Batch
from lab.learning import Stage
from lab.learning.plots import confusion
from lab.networks import upcast
from lab.tabular import plots as draw
from lab.tabular.baselines import class_baselines
from lab.tabular.data.feature_data import LabeledFeatureData
from lab.tabular.feature_module import FeatureModule
from lab.tabular.losses import CLASS_LOSSES, ClassLoss
from lab.task import Task


class ClassifyTabular(FeatureModule):
    """Logits (B, classes) of rows (B, inputs). With two classes the network has one output, the second class's logit.

    Args:
        in_features: number of inputs; a fact of the data.
        class_names: names of the classes; a fact of the data.
        loss: cross_entropy, hinge, or perceptron (Rosenblatt's rule: with batches of one row, sgd and a constant lr).
    """

    def __init__(
        self, in_features: int, class_names: list[str], loss: ClassLoss = "cross_entropy", **settings: Any
    ) -> None:
        super().__init__(in_features, class_names, **settings)
        count = len(class_names)
        self.names, self.row_losses = class_names, CLASS_LOSSES[loss]
        self.metrics = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(count, average="micro", validate_args=False),
                "f1": MulticlassF1Score(count, average="macro", validate_args=False),
                "calibration_error": MulticlassCalibrationError(count, validate_args=False),
            },
            compute_groups=False,
        )
        self.logits, self.labels = CatMetric(), CatMetric()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return torch.cat([torch.zeros_like(logits), logits], 1) if len(self.names) == 2 else logits

    def training_loss(self, batch: Batch, progress: float) -> Tensor:  # noqa: ARG002
        return self.row_losses(upcast(self(batch["x"])), batch["label"]).mean()

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        logits, labels = upcast(self(batch["x"])), batch["label"]
        self.metrics.update(logits.softmax(1), labels)
        self.logits.update(logits)
        self.labels.update(labels)
        return {"loss": self.row_losses(logits, labels)}

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        values = dict(self.metrics.compute())
        if stage == "test":
            logits, labels = self.evaluated()
            values["auroc"] = multiclass_auroc(logits.softmax(1), labels, len(self.names))
            train, test = self.part("train"), self.part("test")
            right = test["label"].cpu().numpy()
            fitted = class_baselines(train["x"].cpu().numpy(), train["label"].cpu().numpy())
            x = test["x"].cpu().numpy()
            values |= {f"{name}/accuracy": float((model.predict(x) == right).mean()) for name, model in fitted.items()}
            values["majority/accuracy"] = float((right == train["label"].mode().values.item()).mean())
        return values

    def evaluated(self) -> tuple[Tensor, Tensor]:
        """The logits (N, classes) and labels (N,) of all rows."""
        return self.logits.compute(), self.labels.compute().long().view(-1)  # a single row comes without a dimension

    def score(self, x: Tensor) -> float:
        return float((self(x).argmax(1) == self.part("test")["label"]).float().mean())

    def report(self) -> None:
        logits, labels = (each.cpu() for each in self.evaluated())
        matrix = multiclass_confusion_matrix(logits, labels, len(self.names))
        plots.log_figure(self, "confusion.png", confusion(matrix, self.names, "rows"))
        plots.log_figure(self, "calibration.png", draw.calibration(logits.softmax(1), labels))
        self.draw_importance("accuracy")
        test = self.part("test")
        if test["x"].shape[1] == 2:
            picture = draw.regions(lambda x: self(x).argmax(1), test["x"], test["label"], self.names)
            plots.log_figure(self, "regions.png", picture)


# Of few rows many epochs have the same accuracy, and the first of them would be the best checkpoint.
TASK = Task(
    module=ClassifyTabular,
    data=LabeledFeatureData,
    monitor="val/loss",
    mode="min",
    score="test/accuracy",
    score_mode="max",
)
