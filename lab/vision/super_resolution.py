"""Super-resolution: images from small versions of themselves, beside bicubic interpolation.

The network is that of `lab.vision.networks.upscaler`, with its sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

from lab import plots
from lab.errors import BadSetting
from lab.learning import Stage, SupervisedModule
from lab.networks import upcast
from lab.task import Task
from lab.vision.data.image_data import ImageData
from lab.vision.networks.upscaler import Upscaler, bicubic
from lab.vision.plots.super_resolution import SHOWN, comparison

MIN_SIZE = 11  # of an image: the side of SSIM's window


class SuperResolution(SupervisedModule):
    """Small images (B, channels, H, W) in [0, 1] -> images `factor` times as high and wide.

    Training makes the small images of whole ones, by bicubic interpolation without aliasing, rounded to 256 levels.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        factor: how many times as high and wide the images become.
        width: feature maps of the network.
        depth: residual blocks of the network.
        loss: loss per pixel: squared error (mse), for which PSNR is the measure, or absolute error (l1).
        lr: learning rate of the optimizer.
    """

    num_first_examples = SHOWN

    def __init__(
        self,
        channels: int,
        size: int,
        factor: Literal[2, 3, 4, 8] = 4,
        width: Annotated[int, Gt(0)] = 32,
        depth: Annotated[int, Gt(0)] = 4,
        loss: Literal["mse", "l1"] = "mse",
        lr: Annotated[float, Gt(0)] = 2e-3,
        **training: Any,
    ) -> None:
        super().__init__(lr, **training)
        if size % factor:
            raise BadSetting("factor", f"images of {size} x {size} cannot be divided by {factor}; set data.size")
        if size < MIN_SIZE:
            found = f"found {size} x {size}; set data.size"
            raise BadSetting("size", f"SSIM needs images of {MIN_SIZE} x {MIN_SIZE}, {found}")
        self.factor, self.loss = factor, loss
        self.network = Upscaler(channels, factor, width, depth).to(memory_format=torch.channels_last)
        self.metrics, self.bicubic_metrics = scores(), scores()
        self.example_input_array = torch.zeros(1, channels, size // factor, size // factor)

    def forward(self, images: Tensor) -> Tensor:
        return upcast(self.network(images)).clamp(0, 1)

    def shrunk(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) as small files would hold them, (B, C, H / factor, W / factor)."""
        return (bicubic(images, 1 / self.factor).clamp(0, 1) * 255).round() / 255

    def training_loss(self, batch: dict[str, Tensor], progress: float) -> Tensor:  # noqa: ARG002
        images = batch["image"]
        found = upcast(self.network(self.shrunk(images)))
        return F.mse_loss(found, images) if self.loss == "mse" else F.l1_loss(found, images)

    def evaluate_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The loss is the squared error of a pixel, whatever is trained with."""
        images = batch["image"]
        small = self.shrunk(images)
        found, baseline = self(small), bicubic(small, self.factor).clamp(0, 1)
        self.metrics.update(found, images)
        self.bicubic_metrics.update(baseline, images)
        losses = (found - images).square().flatten(1).mean(1)
        return {"loss": losses, "image": images, "small": small, "bicubic": baseline, "network": found}

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:  # noqa: ARG002
        baseline = {f"bicubic/{name}": value for name, value in self.bicubic_metrics.compute().items()}
        return {**self.metrics.compute(), **baseline}

    def report(self) -> None:
        plots.log_figure(self, "super_resolution.png", comparison(self.examples.first))


def scores() -> MetricCollection:
    """PSNR in decibels and SSIM of images (B, C, H, W) in [0, 1], each the mean over the images."""
    psnr = PeakSignalNoiseRatio(data_range=1.0, dim=(1, 2, 3))
    ssim = StructuralSimilarityIndexMeasure(data_range=1.0)
    return MetricCollection({"psnr": psnr, "ssim": ssim}, compute_groups=False)


TASK = Task(module=SuperResolution, data=ImageData, monitor="val/psnr", mode="max")
