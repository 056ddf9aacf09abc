"""Series made by a program: seasons with a trend, deterministic chaos, and a random walk.

Source of the chaos: Mackey and Glass, Oscillation and chaos in physiological control systems, Science 197, 1977.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

DELAY, SUBSTEPS = 17, 10  # of the Mackey-Glass equation: above 16.8 it is chaotic; Euler steps of one unit of time


def seasonal(points: int, seed: int) -> Tensor:
    """Hours of a demand, (points,): a day whose shape changes over the week, a slow rise, and autocorrelated noise."""
    noise = torch.randn(points, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    time = torch.arange(points, dtype=torch.float64)
    day, week = 2 * math.pi * time / 24, 2 * math.pi * time / (7 * 24)
    shape = 8 * (day - 1.0).sin() + 3 * (2 * day + 0.5).sin()
    return 50 + 0.002 * time + shape * (1 + 0.4 * week.sin()) + 4 * week.cos() + _autoregression(noise, 0.8)


def mackey_glass(points: int, seed: int) -> Tensor:
    """Values one unit of time apart, (points,), that follow from those before without any noise."""
    start = torch.rand((), generator=torch.Generator().manual_seed(seed)).item()
    history = [1.1 + 0.2 * start] * (DELAY * SUBSTEPS + 1)
    for _ in range((points + 100) * SUBSTEPS):  # the first hundred lead onto the attractor
        x, delayed = history[-1], history[-1 - DELAY * SUBSTEPS]
        history.append(x + (0.2 * delayed / (1 + delayed**10) - 0.1 * x) / SUBSTEPS)
    return torch.tensor(history[-points * SUBSTEPS :: SUBSTEPS], dtype=torch.float64)


def random_walk(points: int, seed: int) -> Tensor:
    """Sums of independent normal steps, (points,): no forecast is better than the last value."""
    return torch.randn(points, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).cumsum(0)


def _autoregression(noise: Tensor, weight: float) -> Tensor:
    found, last = [], 0.0
    for value in noise.tolist():
        last = weight * last + value
        found.append(last)
    return torch.tensor(found, dtype=torch.float64)
