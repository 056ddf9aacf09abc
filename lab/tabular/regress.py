"""Regression of pairs of numbers with a multilayer perceptron."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import CatMetric, MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score

from lab import plots
from lab.data import Batch
from lab.learning import SupervisedModule
from lab.networks import MLP, Activation, upcast
from lab.tabular import plots as draw
from lab.tabular.data.curve_data import FUNCTIONS, CurveData
from lab.task import Task


class Regress(SupervisedModule):
    """Regression of y (B, 1) on x (B, 1), both in the units of the data.

    Args:
        center: means of x and y; a fact of the data.
        spread: their standard deviations; a fact of the data.
        function: the true function, if it is known; a fact of the data.
        hidden: widths of the hidden layers.
        activation: activation function of the hidden layers.
        lr: learning rate of the optimizer.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
    """

    center: Tensor
    spread: Tensor

    def __init__(
        self,
        center: list[float],
        spread: list[float],
        function: str | None,
        hidden: list[Annotated[int, Gt(0)]] = [64, 64],  # noqa: B006 - never changed
        activation: Activation = "tanh",
        lr: Annotated[float, Gt(0)] = 1e-2,
        weight_decay: Annotated[float, Ge(0)] = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay, **training)
        self.network = MLP(1, hidden, 1, activation)
        self.register_buffer("center", torch.tensor(center), persistent=False)  # facts, which are hyperparameters
        self.register_buffer("spread", torch.tensor(spread), persistent=False)
        self.function = function
        self.metrics = MetricCollection(
            {"mse": MeanSquaredError(), "mae": MeanAbsoluteError(), "r2": R2Score()}, compute_groups=False
        )
        self.pairs = CatMetric()
        self.example_input_array = torch.zeros(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.network((x - self.center[0]) / self.spread[0])
        return y * self.spread[1] + self.center[1]

    def training_loss(self, batch: Batch, progress: float) -> Tensor:  # noqa: ARG002
        # in units of their standard deviation, so that one learning rate does for all data
        return F.mse_loss(self(batch["x"]) / self.spread[1], batch["y"] / self.spread[1])

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        x, y = batch["x"], batch["y"]
        predicted = upcast(self(x))
        self.metrics.update(predicted, y)
        self.pairs.update(torch.cat([x, y], 1))
        return {"loss": ((predicted - y) / self.spread[1]).square().squeeze(1)}

    def report(self) -> None:
        pairs = self.pairs.compute().to(self.dtype)
        truth = FUNCTIONS[self.function] if self.function else None
        plots.log_figure(self, "curve.png", draw.curve(self, pairs, truth))
        plots.log_figure(self, "layers.png", draw.layers(self.network, self._activations(pairs[:, :1])))

    def _activations(self, x: Tensor) -> list[Tensor]:
        """The output of each hidden layer (N, width), and out of the last one (N, 1), in units of its spread."""
        values, found = (x - self.center[0]) / self.spread[0], []
        for layer in self.network:
            values = layer(values)
            if not isinstance(layer, nn.Linear):
                found.append(values)
        return [*found, values]


TASK = Task(module=Regress, data=CurveData, monitor="val/mse", mode="min")
