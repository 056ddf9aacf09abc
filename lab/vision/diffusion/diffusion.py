"""Denoising diffusion models of images, on request of a class; sampling by DDPM or, in fewer steps, by DDIM.

Sources: Ho, Jain and Abbeel, Denoising diffusion probabilistic models, NeurIPS 2020; Song, Meng and Ermon, Denoising
diffusion implicit models, ICLR 2021; Ho and Salimans, Classifier-free diffusion guidance, 2022; Salimans and Ho,
Progressive distillation for fast sampling of diffusion models, ICLR 2022, for the velocity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Lt, MinLen, MultipleOf
from torch import Tensor, nn

from lab import plots
from lab.data import seed_from
from lab.errors import BadSetting
from lab.learning import Stage, SupervisedModule
from lab.networks import upcast
from lab.task import Task, Unit
from lab.vision.data.image_data import ImageData
from lab.vision.diffusion.noise_schedule import NoiseSchedule, ScheduleName
from lab.vision.diffusion.plots import SHOWN, denoising
from lab.vision.diffusion.unet import UNet, context_width
from lab.vision.gan.evaluation import Extractor
from lab.vision.gan.generative import TEST, VAL, GenerativeModule
from lab.vision.gan.losses import averaged


class Diffusion(GenerativeModule, SupervisedModule):
    """Noise (B, channels, size, size) in images at times (B,), and of classes (B,) if it is conditional.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        class_names: names of the classes; a fact of the data.
        condition: class, to generate images of a class that is asked for, or none.
        condition_dropout: share of training images whose condition the network does not see, for guidance.
        guidance: weight of the condition in sampling; above 1 images differ less and suit it more, at twice the cost.
        widths: feature maps of the U-Net at each resolution, which halves from one to the next.
        patch: pixels along each side that enter the U-Net as one place.
        prediction: what the network is trained to find: the noise, or the velocity, which weighs noisy images more.
        noise_schedule: linear or cosine.
        noise_steps: number of noise levels.
        sampling_steps: steps of sampling, at most `noise_steps`.
        eta: noise that sampling adds again: 0 for DDIM, 1 for DDPM, which needs all steps.
        ema_decay: decay of the moving average of the weights, which generates; 0 uses the current weights.
        extractor: network for the features of FID: reference_classifier, trained on the same dataset, or inception.
        lr: learning rate of the optimizer.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        class_names: list[str],
        condition: Literal["none", "class"] = "class",
        condition_dropout: Annotated[float, Ge(0), Lt(1)] = 0.1,
        guidance: Annotated[float, Ge(0)] = 1.0,
        widths: Annotated[list[Annotated[int, Gt(0), MultipleOf(8)]], MinLen(1)] = [32, 64],  # noqa: B006 - never changed
        patch: Annotated[int, Gt(0)] = 1,
        prediction: Literal["noise", "velocity"] = "noise",
        noise_schedule: ScheduleName = "cosine",
        noise_steps: Annotated[int, Gt(1)] = 1000,
        sampling_steps: Annotated[int, Gt(0)] = 20,
        eta: Unit = 0.0,
        ema_decay: Annotated[float, Ge(0), Lt(1)] = 0.995,
        extractor: Extractor = "reference_classifier",
        lr: Annotated[float, Gt(0)] = 2e-3,
        weight_decay: Annotated[float, Ge(0)] = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay, **training)
        self.check_images(class_names, extractor)
        if size % (divisor := patch * 2 ** (len(widths) - 1)):
            message = f"{len(widths)} widths and a patch of {patch} need an image size divisible by {divisor}"
            raise BadSetting("widths", f"{message}; found {size}")
        if sampling_steps > noise_steps:
            raise BadSetting("sampling_steps", f"must be at most noise_steps, {noise_steps}; found {sampling_steps}")
        self.shape, self.conditional = (channels, size, size), condition == "class"
        self.condition_dropout, self.guidance = condition_dropout, guidance
        self.sampling_steps, self.eta, self.prediction = sampling_steps, eta, prediction
        self.schedule_of_noise = NoiseSchedule(noise_schedule, noise_steps)
        context = nn.Embedding(len(class_names), context_width(widths)) if self.conditional else None
        self.network = UNet(channels, widths, patch, context).to(memory_format=torch.channels_last)
        self.averaged = averaged(self.network, ema_decay).requires_grad_(False) if ema_decay else None
        noise = torch.randn(2, *self.shape, generator=torch.Generator().manual_seed(0))  # zeros have no variance
        example = noise, torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)
        self.example_input_array = example if self.conditional else example[:2]

    def forward(self, images: Tensor, times: Tensor, labels: Tensor | None = None) -> Tensor:
        network = self.network if self.averaged is None else self.averaged
        found: Tensor = network(images, times, labels)
        if self.prediction == "noise":
            return found
        return self.schedule_of_noise.velocity_to_noise(images, upcast(found), times)

    def training_loss(self, batch: dict[str, Tensor], progress: float) -> Tensor:  # noqa: ARG002
        images = 2 * batch["image"] - 1
        times = torch.randint(len(self.schedule_of_noise.signal), (len(images),), device=images.device)
        noise = torch.randn_like(images)
        noisy = self.schedule_of_noise.add_noise(images, times, noise)
        known = None
        if self.conditional and self.condition_dropout:
            known = torch.rand(len(images), device=images.device) >= self.condition_dropout
        found = self.network(noisy, times, batch["label"] if self.conditional else None, known)
        target = noise if self.prediction == "noise" else self.schedule_of_noise.velocity(images, times, noise)
        return (upcast(found) - target).square().mean()

    def on_train_batch_end(self, *_: Any) -> None:
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)

    def evaluate_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The error of the noise at times that are spread evenly over the batch, always with the same noise."""
        images = 2 * batch["image"] - 1
        random = torch.Generator().manual_seed(seed_from(VAL, self.global_rank, self.eval_batch_idx))
        noise = self.noise(len(images), random)
        times = torch.arange(len(images), device=images.device) * len(self.schedule_of_noise.signal) // len(images)
        noisy = self.schedule_of_noise.add_noise(images, times, noise)
        found = upcast(self(noisy, times, batch["label"] if self.conditional else None))
        return {"loss": (found - noise).square().flatten(1).mean(1)}

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        super().test_step(batch, batch_idx)
        self.compare(batch, batch_idx, TEST)

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        return self.evaluation.compute(stage) if stage == "test" else {}

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.add_to_film()

    def report(self) -> None:
        self.evaluation.show(self)
        labels = torch.arange(SHOWN, device=self.device) % len(self.names)
        images = [(each + 1) / 2 for each in self.denoise(labels, torch.Generator().manual_seed(2))]
        times = [*self.schedule_of_noise.sampling_times(self.sampling_steps)[1:], 0]
        plots.log_figure(self, "denoising.png", denoising(images, times))

    # ---- sampling ----------------------------------------------------------------------------------------------------

    def generate(self, labels: Tensor, random: torch.Generator) -> Tensor:
        for images in self.denoise(labels, random):
            last = images
        return (last + 1) / 2

    @torch.no_grad()
    def denoise(self, labels: Tensor, random: torch.Generator) -> Iterator[Tensor]:
        """Images (B, C, S, S) of classes (B,) from -1 to 1 after each step of sampling, the last without noise."""
        images = self.noise(len(labels), random)
        times = self.schedule_of_noise.sampling_times(self.sampling_steps)
        for time, earlier in zip(times, [*times[1:], -1], strict=True):
            fresh = self.noise(len(labels), random) if self.eta else torch.zeros_like(images)
            found = self.guided(images, torch.full_like(labels, time), labels)
            images = self.schedule_of_noise.step(images, found, time, earlier, self.eta, fresh)
            yield images

    def guided(self, images: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        """The noise in images of classes, which guidance moves away from that in images of any class."""
        if not self.conditional:
            return upcast(self(images, times))
        found = upcast(self(images, times, labels))
        if self.guidance == 1:
            return found
        unguided = upcast(self(images, times))
        return unguided + self.guidance * (found - unguided)

    def noise(self, count: int, random: torch.Generator) -> Tensor:
        """Normal noise (count, channels, size, size)."""
        dtype: Any = self.dtype
        return torch.randn(count, *self.shape, generator=random, dtype=dtype).to(self.device)


TASK = Task(module=Diffusion, data=ImageData, monitor="val/loss", mode="min", score="test/fid")
