"""Forecasts that need no network: the last value, the last season, and an autoregression.

Source: Hyndman and Athanasopoulos, Forecasting: principles and practice, 3rd edition, 2021, sections 5.2 and 9.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def naive(window: Tensor, horizon: int) -> Tensor:
    """The last value again and again: (B, T) -> (B, horizon).

    >>> naive(torch.tensor([[1.0, 2.0, 5.0]]), 2).tolist()
    [[5.0, 5.0]]
    """
    return window[:, -1:].expand(-1, horizon)


def seasonal_naive(window: Tensor, horizon: int, season: int) -> Tensor:
    """The last season again and again: (B, T) -> (B, horizon), for T of one season at least.

    >>> seasonal_naive(torch.tensor([[1.0, 2.0, 5.0, 3.0]]), 3, season=2).tolist()
    [[5.0, 3.0, 5.0]]
    """
    steps = torch.arange(horizon, device=window.device) % season
    return window[:, -season:][:, steps]


@dataclass(frozen=True)
class Autoregression:
    """The next value as a weighted sum of those before it.

    >>> series = 0.5 ** torch.arange(8.0).double()
    >>> model = Autoregression.fit(series, max_order=2)
    >>> [round(weight, 3) for weight in model.weights]
    [0.5]
    >>> model.forecast(torch.tensor([[8.0, 4.0]]), 2).round(decimals=3).tolist()
    [[2.0, 1.0]]

    Args:
        intercept: what is added.
        weights: of the last value, the one before it, and so on.
    """

    intercept: float
    weights: tuple[float, ...]

    @classmethod
    def fit(cls, series: Tensor, max_order: int) -> Autoregression:
        """By least squares, with as many weights as Akaike's criterion asks for.

        Args:
            series: (T,) values in double precision.
            max_order: weights, at most.
        """
        most = max(1, min(max_order, len(series) // 3))
        rows = series.unfold(0, most + 1, 1)  # (N, most + 1), the oldest first
        targets, lags = rows[:, -1], rows[:, :-1].flip(1)
        inputs = torch.cat([torch.ones_like(targets).unsqueeze(1), lags], 1)
        gram, moments = inputs.T @ inputs, inputs.T @ targets
        rounding = torch.finfo(inputs.dtype).eps * targets.square().sum()  # where the fit is exact
        best, found = torch.inf, cls(0.0, (1.0,))
        for order in range(1, most + 1):
            size = order + 1
            weights = torch.linalg.pinv(gram[:size, :size], hermitian=True) @ moments[:size]
            squares = (targets - inputs[:, :size] @ weights).square().sum()
            criterion = len(targets) * float(torch.maximum(squares, rounding).log()) + 2 * size
            if criterion < best:
                best, found = criterion, cls(float(weights[0]), tuple(weights[1:].tolist()))
        return found

    def forecast(self, window: Tensor, horizon: int) -> Tensor:
        """Step by step, each from the ones before: (B, T) -> (B, horizon), for T of at least as many as the weights."""
        weights = torch.tensor(self.weights[::-1], device=window.device, dtype=window.dtype)
        history = window
        for _ in range(horizon):
            following = self.intercept + history[:, -len(weights) :] @ weights
            history = torch.cat([history, following.unsqueeze(1)], 1)
        return history[:, -horizon:]
