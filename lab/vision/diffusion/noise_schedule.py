"""The share of noise in an image at each time of a diffusion, and one step back in time.

Sources: Ho, Jain and Abbeel, Denoising diffusion probabilistic models (DDPM), NeurIPS 2020, with the linear schedule;
Nichol and Dhariwal, Improved denoising diffusion probabilistic models, ICML 2021, with the cosine schedule; Song, Meng
and Ermon, Denoising diffusion implicit models (DDIM), ICLR 2021, whose formula 12 is `step`; Salimans and Ho,
Progressive distillation for fast sampling of diffusion models, ICLR 2022, for the velocity.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

ScheduleName = Literal["linear", "cosine"]


class NoiseSchedule(nn.Module):
    """Images x_0 of variance 1 become x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise, also of variance 1, at time t.

    >>> NoiseSchedule("cosine", 1000).signal[[0, 999]].round(decimals=4).tolist()
    [1.0, 0.0]

    Args:
        name: linear or cosine.
        steps: number of times T; they count from 0, and the image itself is at -1.
    """

    signal: Tensor  # (T,), a_t: the share of the variance that is the image's

    def __init__(self, name: ScheduleName, steps: int) -> None:
        super().__init__()
        if name == "linear":
            betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)  # for T = 1000, in fewer times as much noise
            signal = (1 - betas).cumprod(0)[(torch.arange(1, steps + 1) * 1000 / steps).ceil().long() - 1]
        else:
            times = torch.arange(steps + 1, dtype=torch.float64) / steps
            shares = ((times + 0.008) / 1.008 * math.pi / 2).cos().square()
            signal = (shares[1:] / shares[:-1]).clamp(min=0.001).cumprod(0)
        self.register_buffer("signal", signal.float(), persistent=False)

    def add_noise(self, images: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """The images (B, C, H, W) at times (B,)."""
        share = self.signal[times].view(-1, 1, 1, 1)
        return share.sqrt() * images + (1 - share).sqrt() * noise

    def velocity(self, images: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """sqrt(a_t) noise - sqrt(1 - a_t) images at times (B,): the images themselves where all is noise."""
        share = self.signal[times].view(-1, 1, 1, 1)
        return share.sqrt() * noise - (1 - share).sqrt() * images

    def velocity_to_noise(self, noisy: Tensor, velocity: Tensor, times: Tensor) -> Tensor:
        """The noise in noisy images (B, C, H, W) at times (B,) of that velocity."""
        share = self.signal[times].view(-1, 1, 1, 1)
        return share.sqrt() * velocity + (1 - share).sqrt() * noisy

    def sampling_times(self, count: int) -> list[int]:
        """So many times, or all, from the last to 0."""
        last = len(self.signal) - 1
        return torch.linspace(last, 0, min(count, last + 1)).round().int().tolist()

    def step(self, images: Tensor, noise: Tensor, time: int, earlier: int, eta: float, fresh: Tensor) -> Tensor:
        """The images (B, C, H, W) at an earlier time.

        Args:
            images: at `time`.
            noise: that a network found in them.
            time: where they are.
            earlier: where they go; -1 for images without noise.
            eta: 0 for the deterministic step of DDIM; 1 for that of DDPM, which adds noise again.
            fresh: this noise, of variance 1.
        """
        signal = self.signal[time]
        target = self.signal[earlier] if earlier >= 0 else torch.ones_like(signal)
        clean = ((images - (1 - signal).sqrt() * noise) / signal.sqrt()).clamp(-1, 1)  # pixels are in this range
        noise = (images - signal.sqrt() * clean) / (1 - signal).sqrt()
        added = eta * ((1 - target) / (1 - signal) * (1 - signal / target)).sqrt()
        return target.sqrt() * clean + (1 - target - added**2).clamp(min=0).sqrt() * noise + added * fresh
