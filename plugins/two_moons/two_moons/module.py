"""A multilayer perceptron that classifies the two moons, and a plot of its decision boundary."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt, MinLen
from lab.learning import SupervisedModule
from lab.networks import MLP, Activation
from lab.plots import COLORS, figure, log_figure
from lab.task import Task
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import CatMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from two_moons.data import MoonsData


class MoonsClassifier(SupervisedModule):
    """Points (B, features) -> logits (B, classes).

    Args:
        features: coordinates of a point; a fact of the data.
        classes: number of classes; a fact of the data.
        hidden: width of each hidden layer.
        activation: activation function of the hidden layers.
        dropout: probability of dropping a hidden unit during training.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        hidden: Annotated[tuple[Annotated[int, Gt(0)], ...], MinLen(1)] = (32, 32),
        activation: Activation = "relu",
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.network = MLP(features, hidden, classes, activation, dropout=dropout)
        self.metrics = MetricCollection({"accuracy": MulticlassAccuracy(classes, average="micro")})
        self.points, self.labels = CatMetric(), CatMetric()  # for the plot; they join the processes by themselves
        self.example_input_array = torch.zeros(1, features)  # so that the trained model is logged to MLflow

    def forward(self, points: Tensor) -> Tensor:
        return self.network(points)

    def training_loss(self, batch: dict[str, Tensor], progress: float) -> Tensor:
        return F.cross_entropy(self(batch["points"]), batch["label"])

    def evaluate_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        logits = self(batch["points"])
        self.metrics.update(logits, batch["label"])
        self.points.update(batch["points"])
        self.labels.update(batch["label"])
        return {"loss": F.cross_entropy(logits, batch["label"], reduction="none")}

    def report(self) -> None:
        """Plots the decision boundary and the test points."""
        points, labels = self.points.compute().float().cpu(), self.labels.compute().cpu()
        (left, bottom), (right, top) = (points.amin(0) - 0.5).tolist(), (points.amax(0) + 0.5).tolist()
        x, y = torch.meshgrid(torch.linspace(left, right, 300), torch.linspace(bottom, top, 200), indexing="xy")
        plane = torch.stack([x, y], dim=-1)  # (200, 300, 2)
        probability = self(plane.to(self.device, self.dtype)).float().softmax(-1)[..., 1].cpu()  # (200, 300)
        with figure() as (drawing, axes):
            filled = axes.contourf(x, y, probability, levels=20, cmap="RdBu", vmin=0, vmax=1, alpha=0.6)
            for label, color in enumerate((COLORS[1], COLORS[0])):
                axes.scatter(*points[labels == label].T, s=14, color=color, edgecolor="white", label=f"moon {label}")
            axes.set(title="Decision boundary and test points", xlabel="x", ylabel="y")
            axes.legend(loc="upper right", frameon=True)
            drawing.colorbar(filled, label="probability of moon 1", shrink=0.8)
        log_figure(self, "boundary.png", drawing)


TASK = Task(module=MoonsClassifier, data=MoonsData, monitor="val/accuracy", mode="max")
