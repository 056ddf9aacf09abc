"""A curve through pairs of numbers: a multilayer perceptron with one input and one output."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import CatMetric, MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score

from lab import plots
from lab.learning.supervised import Descent, Figures, Schedule
from lab.networks import MLP, Activation
from lab.tabular import plots as pictures
from lab.tabular.curve_data import FUNCTIONS, CurveData
from lab.task import Task, Unit


class Regress(Descent):
    """x (B, 1) -> y (B, 1), both in the units of the data.

    Args:
        center: means of x and y; a fact of the data.
        spread: their standard deviations; a fact of the data.
        function: the one behind the data, where it is known; a fact of the data.
        hidden: widths of the hidden layers.
        activation: of the hidden layers.
        lr: learning rate of AdamW.
        final_lr: learning rate at the end of the run, as a fraction of `lr`.
        schedule: how it gets there, along half a cosine or a line.
        weight_decay: decoupled weight decay of AdamW.
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
        final_lr: Unit = 0.0,
        schedule: Schedule = "cosine",
        weight_decay: Annotated[float, Ge(0)] = 0.0,
    ) -> None:
        super().__init__(lr, final_lr, schedule, weight_decay)
        self.save_hyperparameters()
        self.network = MLP(1, hidden, 1, activation)
        self.register_buffer("center", torch.tensor(center), persistent=False)  # facts, which are hyperparameters
        self.register_buffer("spread", torch.tensor(spread), persistent=False)
        self.function = function
        self.scores = MetricCollection({"mse": MeanSquaredError(), "mae": MeanAbsoluteError(), "r2": R2Score()})
        self.pairs = CatMetric()
        self.example_input_array = torch.zeros(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.network((x - self.center[0]) / self.spread[0])
        return y * self.spread[1] + self.center[1]

    def learn(self, batch: list[Tensor], done: float) -> tuple[Tensor, Figures]:  # noqa: ARG002
        x, y = batch[0].split(1, 1)
        # in units of their spread, so that one learning rate does for all data
        return F.mse_loss(self(x) / self.spread[1], y / self.spread[1]), dict

    def validation_step(self, batch: list[Tensor]) -> None:
        self._measure(batch[0])

    def on_validation_epoch_end(self) -> None:
        self._log("val")

    def test_step(self, batch: list[Tensor]) -> None:
        self._measure(batch[0])
        self.pairs.update(batch[0])

    def on_test_epoch_end(self) -> None:
        self._log("test")
        pairs = self.pairs.compute()  # on every process, since it waits for all of them
        self.pairs.reset()
        truth = FUNCTIONS[self.function] if self.function else None
        plots.log_figure(self, "curve.png", pictures.curve(self, pairs, truth))
        plots.log_figure(self, "layers.png", pictures.layers(self.network, self._activations(pairs[:, :1])))

    def _measure(self, pairs: Tensor) -> None:
        x, y = pairs.split(1, 1)
        self.scores.update(self(x).float(), y)

    def _activations(self, x: Tensor) -> list[Tensor]:
        """What comes out of each hidden layer (N, width), and out of the last one (N, 1), in units of its spread."""
        values, found = (x - self.center[0]) / self.spread[0], []
        for layer in self.network:
            values = layer(values)
            if not isinstance(layer, nn.Linear):
                found.append(values)
        return [*found, values]

    def _log(self, part: str) -> None:
        found = self.scores.compute()
        self.scores.reset()
        self.log_dict({f"{part}/{name}": value for name, value in found.items()}, sync_dist=True)


TASK = Task(module=Regress, data=CurveData, monitor="val/mse", mode="min")
