"""Denoising diffusion of images with or without a condition; sampling by DDPM or, in fewer steps, by DDIM.

Sources: Ho, Jain and Abbeel, Denoising diffusion probabilistic models, NeurIPS 2020; Song, Meng and Ermon, Denoising
diffusion implicit models, ICLR 2021; Ho and Salimans, Classifier-free diffusion guidance, 2022; Salimans and Ho,
Progressive distillation for fast sampling of diffusion models, ICLR 2022, for the velocity.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Lt, MinLen, MultipleOf
from torch import Tensor, nn

from lab.data import seed_from
from lab.errors import BadSetting
from lab.learning import SupervisedModule
from lab.networks import upcast
from lab.task import Unit
from lab.vision.diffusion.noise_schedule import NoiseSchedule, ScheduleName
from lab.vision.diffusion.unet import UNet
from lab.vision.gan.generative import VAL
from lab.vision.gan.losses import averaged


class Denoiser(SupervisedModule):
    """Finds the noise (B, channels, size, size) in images at times (B,), and generates images by removing it.

    A subclass calls `build` in its constructor with what turns a condition (B, ...) into a vector, and says by
    `condition` what the condition of a batch is.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
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
        lr: learning rate of the optimizer.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
    """

    def __init__(
        self,
        channels: int,
        size: int,
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
        lr: Annotated[float, Gt(0)] = 2e-3,
        weight_decay: Annotated[float, Ge(0)] = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay, **training)
        if size % (divisor := patch * 2 ** (len(widths) - 1)):
            message = f"{len(widths)} widths and a patch of {patch} need an image size divisible by {divisor}"
            raise BadSetting("widths", f"{message}; found {size}")
        if sampling_steps > noise_steps:
            raise BadSetting("sampling_steps", f"must be at most noise_steps, {noise_steps}; found {sampling_steps}")
        self.shape, self.widths, self.patch, self.ema_decay = (channels, size, size), widths, patch, ema_decay
        self.condition_dropout, self.guidance = condition_dropout, guidance
        self.sampling_steps, self.eta, self.prediction = sampling_steps, eta, prediction
        self.schedule_of_noise = NoiseSchedule(noise_schedule, noise_steps)

    def build(self, context: nn.Module | None) -> None:
        """Makes the network.

        Args:
            context: conditions (B, ...) -> vectors (B, `context_width(widths)`); None for images without a condition.
        """
        network = UNet(self.shape[0], self.widths, self.patch, context)
        self.network = network.to(memory_format=torch.channels_last)
        self.averaged = averaged(self.network, self.ema_decay).requires_grad_(False) if self.ema_decay else None

    @abstractmethod
    def condition(self, batch: dict[str, Tensor]) -> Tensor | None:
        """What is known of the images of a batch, (B, ...)."""

    def forward(self, images: Tensor, times: Tensor, condition: Tensor | None = None) -> Tensor:
        network = self.network if self.averaged is None else self.averaged
        found: Tensor = network(images, times, condition)
        if self.prediction == "noise":
            return found
        return self.schedule_of_noise.velocity_to_noise(images, upcast(found), times)

    def training_loss(self, batch: dict[str, Tensor], progress: float) -> Tensor:  # noqa: ARG002
        images = 2 * batch["image"] - 1
        times = torch.randint(len(self.schedule_of_noise.signal), (len(images),), device=images.device)
        noise = torch.randn_like(images)
        noisy = self.schedule_of_noise.add_noise(images, times, noise)
        condition, known = self.condition(batch), None
        if condition is not None and self.condition_dropout:
            known = torch.rand(len(images), device=images.device) >= self.condition_dropout
        found = self.network(noisy, times, condition, known)
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
        found = upcast(self(noisy, times, self.condition(batch)))
        return {"loss": (found - noise).square().flatten(1).mean(1)}

    def denoised(self, condition: Tensor, random: torch.Generator) -> Tensor:
        """Images (B, C, S, S) from 0 to 1, for conditions (B, ...), by a CPU generator."""
        for images in self.denoise(condition, random):
            last = images
        return (last + 1) / 2

    @torch.no_grad()
    def denoise(self, condition: Tensor, random: torch.Generator) -> Iterator[Tensor]:
        """Images (B, C, S, S) for conditions (B, ...) from -1 to 1 after each step, the last without noise."""
        count = len(condition)
        images = self.noise(count, random)
        times = self.schedule_of_noise.sampling_times(self.sampling_steps)
        for time, earlier in zip(times, [*times[1:], -1], strict=True):
            fresh = self.noise(count, random) if self.eta else torch.zeros_like(images)
            found = self.guided(images, torch.full((count,), time, device=self.device), condition)
            images = self.schedule_of_noise.step(images, found, time, earlier, self.eta, fresh)
            yield images

    def guided(self, images: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        """The noise in images with a condition, which guidance moves away from that in any images."""
        if self.network.context is None:
            return upcast(self(images, times))
        found = upcast(self(images, times, condition))
        if self.guidance == 1:
            return found
        unguided = upcast(self(images, times))
        return unguided + self.guidance * (found - unguided)

    def noise(self, count: int, random: torch.Generator) -> Tensor:
        """Normal noise (count, channels, size, size)."""
        dtype: Any = self.dtype
        return torch.randn(count, *self.shape, generator=random, dtype=dtype).to(self.device)
