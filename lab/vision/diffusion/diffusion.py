"""Diffusion models of images, on request of a class, judged as the GANs are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lab import plots
from lab.learning import Stage
from lab.task import Task
from lab.vision.data.image_data import ImageData
from lab.vision.diffusion.denoiser import Denoiser
from lab.vision.diffusion.plots import SHOWN, denoising
from lab.vision.diffusion.unet import context_width
from lab.vision.gan.evaluation import Extractor
from lab.vision.gan.generative import TEST, GenerativeModule


class Diffusion(GenerativeModule, Denoiser):
    """Noise (B, channels, size, size) in images at times (B,), and of classes (B,) if it is conditional.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        class_names: names of the classes; a fact of the data.
        condition: class, to generate images of a class that is asked for, or none.
        extractor: network for the features of FID: reference_classifier, trained on the same dataset, or inception.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        class_names: list[str],
        condition: Literal["none", "class"] = "class",
        extractor: Extractor = "reference_classifier",
        **training: Any,
    ) -> None:
        super().__init__(channels, size, **training)
        self.check_images(class_names, extractor)
        self.conditional = condition == "class"
        self.build(nn.Embedding(len(class_names), context_width(self.widths)) if self.conditional else None)
        noise = torch.randn(2, *self.shape, generator=torch.Generator().manual_seed(0))  # zeros have no variance
        example = noise, torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)
        self.example_input_array = example if self.conditional else example[:2]

    def condition(self, batch: dict[str, Tensor]) -> Tensor | None:
        return batch["label"] if self.conditional else None

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        super().test_step(batch, batch_idx)
        self.compare(batch, batch_idx, TEST)

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        return self.evaluation.compute(stage) if stage == "test" else {}

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.add_to_film()

    def generate(self, labels: Tensor, random: torch.Generator) -> Tensor:
        return self.denoised(labels, random)

    def report(self) -> None:
        self.evaluation.show(self)
        labels = torch.arange(SHOWN, device=self.device) % len(self.names)
        images = [(each + 1) / 2 for each in self.denoise(labels, torch.Generator().manual_seed(2))]
        times = [*self.schedule_of_noise.sampling_times(self.sampling_steps)[1:], 0]
        plots.log_figure(self, "denoising.png", denoising(images, times))


TASK = Task(module=Diffusion, data=ImageData, monitor="val/loss", mode="min", score="test/fid")
