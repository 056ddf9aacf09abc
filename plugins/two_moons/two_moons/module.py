"""A multilayer perceptron that tells the two moons apart, and a picture of where it draws the line."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Lt, MinLen
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


class MoonsClassifier(LightningModule):
    """Points (B, features) -> logits (B, classes).

    Args:
        features: coordinates of a point; a fact of the data.
        classes: labels to tell apart; a fact of the data.
        hidden: width of each hidden layer.
        activation: non-linearity after each hidden layer.
        dropout: probability of dropping a hidden unit during training.
        lr: learning rate of AdamW.
        weight_decay: decoupled weight decay of AdamW.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        hidden: Annotated[tuple[Annotated[int, Gt(0)], ...], MinLen(1)] = (32, 32),
        activation: Literal["relu", "gelu", "tanh"] = "relu",
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        lr: Annotated[float, Gt(0)] = 3e-3,
        weight_decay: Annotated[float, Ge(0)] = 1e-4,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()  # plain values only: the checkpoint then loads with weights_only=True
        layers: list[nn.Module] = []
        for n_in, n_out in zip((features, *hidden), hidden, strict=False):
            layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation](), nn.Dropout(dropout)]
        self.net = nn.Sequential(*layers, nn.Linear(hidden[-1], classes))
        self.val_accuracy = MulticlassAccuracy(classes, average="micro")
        self.test_accuracy = MulticlassAccuracy(classes, average="micro")
        self.example_input_array = torch.zeros(1, features)  # lets the trained model be logged as a loadable one

    def forward(self, points: Tensor) -> Tensor:
        return self.net(points)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr, weight_decay=self.hparams.weight_decay)

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        points, labels = batch["points"], batch["label"]
        loss = F.cross_entropy(self(points), labels)
        self.log("train/loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        points, labels = batch["points"], batch["label"]
        logits = self(points)
        self.val_accuracy(logits, labels)
        self.log("val/loss", F.cross_entropy(logits, labels), sync_dist=True)
        self.log("val/accuracy", self.val_accuracy, prog_bar=True)  # a metric object averages over processes itself

    def on_test_start(self) -> None:
        self.tested: list[tuple[Tensor, Tensor]] = []  # for the picture; under several processes, this one's share

    def test_step(self, batch: dict[str, Tensor]) -> None:
        points, labels = batch["points"], batch["label"]
        self.test_accuracy(self(points), labels)
        self.log("test/accuracy", self.test_accuracy)
        self.tested.append((points, labels))

    def on_test_end(self) -> None:
        """Draw the probability of moon 1 over the plane, with the test points on top."""
        from lab.plots import COLORS, figure, log_figure  # here, so that a checkpoint loads where `lab` is missing
        from matplotlib.colors import LinearSegmentedColormap

        points, labels = (torch.cat(parts).float().cpu() for parts in zip(*self.tested, strict=True))
        (left, bottom), (right, top) = (points.amin(0) - 0.5).tolist(), (points.amax(0) + 0.5).tolist()
        x, y = torch.meshgrid(torch.linspace(left, right, 300), torch.linspace(bottom, top, 200), indexing="xy")
        plane = torch.stack([x, y], dim=-1)  # (200, 300, 2)
        with torch.inference_mode():
            logits = self(plane.to(self.device, self.dtype)).float().cpu()
        second = logits.softmax(-1)[..., 1].numpy()  # (200, 300)

        blue, orange = COLORS[:2]
        shades = LinearSegmentedColormap.from_list("moons", [orange, "white", blue])
        with figure() as (drawing, axes):
            image = axes.imshow(
                second, cmap=shades, vmin=0, vmax=1, alpha=0.6, origin="lower", extent=(left, right, bottom, top)
            )
            axes.contour(x.numpy(), y.numpy(), second, levels=[0.5], colors="white", linewidths=2)
            for label, color in enumerate((orange, blue)):
                moon = points[labels == label].T.numpy()
                axes.scatter(*moon, s=14, color=color, edgecolor="white", linewidth=0.5, label=f"moon {label}")
            axes.set(title="Decision boundary and test points", xlabel="x", ylabel="y")
            axes.grid(False)
            axes.legend(loc="upper right")
            drawing.colorbar(image, label="probability of moon 1", shrink=0.8)
        log_figure(self, "boundary.png", drawing)
