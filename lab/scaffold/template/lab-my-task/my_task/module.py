"""A small network that fits a curve, and a picture of the fit."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Gt
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F


class MyTaskModule(LightningModule):
    """x (B, inputs) -> y (B, outputs).

    Args:
        inputs: numbers in; a fact of the data.
        outputs: numbers out; a fact of the data.
        hidden: width of the hidden layer.
        lr: learning rate of Adam.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Annotated[int, Gt(0)] = 64,
        lr: Annotated[float, Gt(0)] = 1e-2,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()  # keep them plain: the checkpoint then loads with weights_only=True
        self.net = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, outputs))
        self.example_input_array = torch.zeros(1, inputs)  # lets the trained model be logged as a loadable one

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return self._loss("train", batch)

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self._loss("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self._loss("test", batch)

    def _loss(self, part: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        loss = F.mse_loss(self(x), y)
        self.log(f"{part}/loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def on_test_end(self) -> None:
        from lab.plots import figure, log_figure  # here, so that a checkpoint loads where `lab` is missing

        x = torch.linspace(-3, 3, 200)[:, None]
        with torch.inference_mode():
            y = self(x.to(self.device, self.dtype)).float().cpu()
        with figure() as (drawing, axes):
            axes.plot(x.numpy(), x.sin().numpy(), label="sin(x)")
            axes.plot(x.numpy(), y.numpy(), label="network")
            axes.set(title="Fit", xlabel="x", ylabel="y")
            axes.legend()
        log_figure(self, "fit.png", drawing)
