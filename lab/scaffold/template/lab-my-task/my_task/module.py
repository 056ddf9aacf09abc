"""A small network that fits a curve, and a plot of the fit."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from annotated_types import Gt
from lab.learning import SupervisedModule
from lab.networks import MLP
from lab.plots import figure, log_figure
from lab.task import Task
from torch import Tensor
from torch.nn import functional as F

from my_task.data import MyTaskData


class MyTaskModule(SupervisedModule):
    """x (B, in_features) -> y (B, out_features).

    Args:
        in_features: size of the input; a fact of the data.
        out_features: size of the output; a fact of the data.
        hidden: widths of the hidden layers.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: tuple[Annotated[int, Gt(0)], ...] = (64,),
        **training: Any,
    ) -> None:
        super().__init__(**training)  # lr, optimizer, schedule, weight_decay, ...; it saves the hyperparameters, too
        self.network = MLP(in_features, hidden, out_features, "tanh")
        self.example_input_array = torch.zeros(1, in_features)  # so that the trained model is logged to MLflow

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    def training_loss(self, batch: dict[str, Tensor], progress: float) -> Tensor:
        return F.mse_loss(self(batch["x"]), batch["y"])

    def evaluate_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": F.mse_loss(self(batch["x"]), batch["y"], reduction="none").mean(1)}

    def report(self) -> None:
        x = torch.linspace(-3, 3, 200)[:, None]
        y = self(x.to(self.device, self.dtype)).float().cpu()
        with figure() as (drawing, axes):
            axes.plot(x, x.sin(), label="sin(x)")
            axes.plot(x, y, label="network")
            axes.set(title="Fit", xlabel="x", ylabel="y")
            axes.legend()
        log_figure(self, "fit.png", drawing)


TASK = Task(
    module=MyTaskModule,
    data=MyTaskData,
    monitor="val/loss",
    mode="min",
)
