"""Classes of sequences, or of each of their steps, by a recurrent network, a temporal convolution or a Transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassF1Score

from lab import plots
from lab.data import Batch
from lab.errors import BadSetting
from lab.learning import Stage
from lab.networks import SequenceNetworkName, upcast
from lab.series import plots as draw
from lab.series.problems import UNLABELED
from lab.series.sequence_data import SequenceData
from lab.series.sequence_module import SequenceModule, gradient_ratio
from lab.task import Task


class ClassifySequence(SequenceModule):
    """Logits (B, classes) of sequences (B, T, features), or (B, T, classes) where every step has a label.

    Args:
        features: size of the input at each step; a fact of the data.
        length: steps of a sequence; a fact of the data.
        per_step: whether every step has a label; a fact of the data.
        class_names: names of the classes; a fact of the data.
        network: rnn, lstm, gru, tcn (temporal convolution) or transformer.
    """

    def __init__(
        self,
        features: int,
        length: int,
        per_step: bool,
        class_names: list[str],
        network: SequenceNetworkName = "lstm",
        **training: Any,
    ) -> None:
        if not class_names:
            raise BadSetting("class_names", "the targets of this dataset are numbers: use the task regress_sequence")
        super().__init__(features, length, per_step, class_names, network, **training)
        self.names = class_names
        settings: dict[str, Any] = {"ignore_index": UNLABELED, "validate_args": False}
        count = len(class_names)
        self.metrics = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(count, average="micro", **settings),
                "f1": MulticlassF1Score(count, average="macro", **settings),
            },
            compute_groups=False,
        )
        self.confusion = MulticlassConfusionMatrix(count, **settings)
        self.sequence_accuracy = MeanMetric()

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        if not self.per_step:
            return F.cross_entropy(outputs, y, reduction="none")
        losses = F.cross_entropy(outputs.mT, y, reduction="none", ignore_index=UNLABELED)  # (B, T), 0 where ignored
        return losses.sum(1) / (y != UNLABELED).sum(1).clamp(min=1)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        x, y = batch["x"], batch["y"]
        logits = upcast(self(x))
        predicted = logits.argmax(-1)
        self.metrics.update(predicted, y)
        self.confusion.update(predicted, y)
        if self.per_step:
            self.sequence_accuracy.update(((predicted == y) | (y == UNLABELED)).all(1).float())
        return {"loss": self.losses(logits, y), "x": x, "y": y, "predicted": predicted}

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        values = dict(self.metrics.compute())
        if self.per_step:
            values["sequence_accuracy"] = self.sequence_accuracy.compute()
        if stage == "test":
            counts = self.confusion.compute().sum(1)
            values["majority/accuracy"] = counts.max() / counts.sum().clamp(min=1)  # of the most frequent class
            values["gradient_ratio"] = gradient_ratio(self.gradient_over_time())
        return values

    def report(self) -> None:
        matrix = self.confusion.compute().cpu()
        plots.log_figure(self, "classes.png", draw.classes(matrix, self.names))
        plots.log_figure(self, "gradient.png", draw.gradient(self.gradient_over_time()))
        if self.per_step:
            first = self.examples.first
            plots.log_figure(self, "steps.png", draw.steps(first["y"], first["predicted"], self.names))


TASK = Task(module=ClassifySequence, data=SequenceData, monitor="val/accuracy", mode="max")
