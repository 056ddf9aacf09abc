"""Forecasts of a time series with intervals, beside the forecasts that need no network.

Sources: Koenker and Bassett, Regression quantiles, Econometrica 46, 1978 (pinball loss); Hyndman and Koehler, Another
look at measures of forecast accuracy, International Journal of Forecasting 22, 2006 (MASE); Zeng et al., Are
Transformers effective for time series forecasting?, AAAI 2023 (a linear network on the changes since the last value).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Lt, MinLen
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError, MetricCollection

from lab import plots
from lab.data import Batch
from lab.errors import BadSetting
from lab.learning import Stage, SupervisedModule
from lab.networks import SequenceNetwork, upcast
from lab.series import plots as draw
from lab.series.baselines import Autoregression, naive, seasonal_naive
from lab.series.sequence_module import gradient_ratio, input_gradient
from lab.series.series_data import SeriesData
from lab.task import Task

Network = Literal["rnn", "lstm", "gru", "tcn", "transformer", "linear", "naive"]
Quantile = Annotated[float, Gt(0), Lt(1)]


class Forecast(SupervisedModule):
    """Windows (B, window) -> quantiles of what comes next (B, horizon, quantiles), both in the units of the series.

    The forecast itself is the median. Every validation and test logs `mae`, `rmse`, `mase` (the mean absolute error
    over that of the naive forecast of one step, or of one season, in the training part), `pinball` and `coverage`, and
    the first three also for the baselines: `naive`, `seasonal_naive` where there is a season, and `ar`.

    Args:
        window: points that a forecast sees; a fact of the data.
        horizon: points that are forecast; a fact of the data.
        log: whether logarithms are forecast; a fact of the data.
        season: points after which the pattern repeats; a fact of the data.
        center: mean of the training part, or of its logarithm; a fact of the data.
        spread: its standard deviation; a fact of the data.
        change: root mean square of the changes within a horizon; a fact of the data.
        naive_error: mean absolute error of the naive forecast in the training part; a fact of the data.
        autoregression: intercept and weights of the fitted autoregression; a fact of the data.
        network: rnn, lstm, gru, tcn (temporal convolution), transformer, linear, or naive: the last value and one
            number for each quantile, which is what no network can know less than.
        hidden: size of a recurrent state in each direction, channels of a convolution, width of a Transformer.
        num_weights: instead of `hidden` (null): about how many weights the network has, to compare networks.
        depth: layers, stacked; blocks of a temporal convolution, which sees 4 * 2**depth - 3 steps.
        bidirectional: read the window from both ends.
        dropout: dropout of the outputs of layers.
        tbptt_steps: truncated backpropagation through time: no gradient goes back over a step whose number divides by
            this; by default it goes back over all.
        chrono_steps: chrono initialisation of an lstm or a gru: its units begin by keeping their state for 1 to so many
            steps, so that long sequences are learnt from; by default they forget half of it in every step.
        relative_to: what windows are relative to: their `last` value, so that a trend leads to no unknown numbers, or
            the `mean` of the training part, so that the level is known.
        quantiles: the shares of future values that are to lie below each of the forecasts, in order; one is 0.5.
        lr: learning rate of the optimizer.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
    """

    num_first_examples = 512  # windows of the test that are drawn along time

    def __init__(
        self,
        window: int,
        horizon: int,
        log: bool,
        season: int | None,
        center: float,
        spread: float,
        change: float,
        naive_error: float,
        autoregression: list[float],
        network: Network = "gru",
        hidden: Annotated[int, Gt(0)] | None = 32,
        num_weights: Annotated[int, Gt(0)] | None = None,
        depth: Annotated[int, Gt(0)] = 1,
        bidirectional: bool = False,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        tbptt_steps: Annotated[int, Gt(0)] | None = None,
        chrono_steps: Annotated[int, Ge(3)] | None = None,
        relative_to: Literal["last", "mean"] = "last",
        quantiles: Annotated[list[Quantile], MinLen(1)] = [0.1, 0.5, 0.9],  # noqa: B006 - never changed
        lr: Annotated[float, Gt(0)] = 3e-3,
        weight_decay: Annotated[float, Ge(0)] = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay, **training)
        if 0.5 not in quantiles or any(low >= high for low, high in pairwise(quantiles)):
            raise BadSetting("quantiles", f"expected rising numbers with 0.5 among them, found {quantiles}")
        self.window, self.horizon, self.log_scale, self.season = window, horizon, log, season
        self.center = None if relative_to == "last" else center
        self.spread = change if relative_to == "last" else spread
        self.naive_error, self.quantiles, self.median = naive_error, quantiles, quantiles.index(0.5)
        self.autoregression = Autoregression(autoregression[0], tuple(autoregression[1:]))
        outputs = horizon * len(quantiles)
        if network == "naive":
            self.network: nn.Module = _Constant(outputs)
        elif network == "linear":
            self.network = nn.Linear(window, outputs)
        else:
            body = SequenceNetwork(
                network, 1, hidden, num_weights, depth, bidirectional, dropout, window, tbptt_steps, chrono_steps
            )
            self.network = _Last(body, outputs)
        self.metrics = scores(horizon)
        self.baselines = nn.ModuleDict({name: scores(horizon) for name in self._baselines(torch.ones(1, window))})
        self.pinball, self.coverage = MeanMetric(), MeanMetric()
        self.example_input_array = torch.ones(1, window)

    def forward(self, x: Tensor) -> Tensor:
        values = x.log() if self.log_scale else x
        origin = values[:, -1:] if self.center is None else torch.full_like(values[:, -1:], self.center)
        outputs = self.network((values - origin) / self.spread).unflatten(1, (self.horizon, len(self.quantiles)))
        found = upcast(outputs).sort(2).values * self.spread + origin.unsqueeze(2)  # no quantile above the next one
        return found.exp() if self.log_scale else found

    def losses(self, x: Tensor, y: Tensor) -> Tensor:
        """The pinball loss of each window, (B,), in units of the changes; of logarithms, if these are forecast."""
        found = self(x)
        if self.log_scale:
            found, y = found.log(), y.log()
        return pinball(found, y, self.quantiles).mean((1, 2)) / self.spread

    def training_loss(self, batch: Batch, progress: float) -> Tensor:  # noqa: ARG002
        return self.losses(batch["x"], batch["y"]).mean()

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        x, y = batch["x"], batch["y"]
        found = self(x)
        self.metrics.update(found[..., self.median].contiguous(), y)
        for name, forecast in self._baselines(x).items():
            self.baselines[name].update(forecast.contiguous(), y)  # type: ignore[operator]  # a ModuleDict is not typed
        self.pinball.update(pinball(found, y, self.quantiles))
        self.coverage.update(((found[..., 0] <= y) & (y <= found[..., -1])).float())
        return {"loss": self.losses(x, y), **batch, "quantiles": found}

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        values: dict[str, Any] = {**self._scaled(self.metrics), "pinball": self.pinball.compute()}
        if len(self.quantiles) > 1:
            values["coverage"] = self.coverage.compute()
        for name, metrics in self.baselines.items():
            values |= {f"{name}/{key}": value for key, value in self._scaled(metrics).items()}
        if stage == "test":
            values["gradient_ratio"] = gradient_ratio(self.gradient_over_time())
        return values

    def gradient_over_time(self) -> Tensor:
        """The size of the loss's gradient at each point of the window, (window,): the mean over windows of the test."""
        first = self.examples.first
        return input_gradient(lambda x, y: self.losses(x.squeeze(2), y), first["x"][:64].unsqueeze(2), first["y"][:64])

    def report(self) -> None:
        everything: dict[str, Any] = {"network": self.metrics, **self.baselines}
        errors = {name: metrics["mae"].compute().reshape(-1) for name, metrics in everything.items()}
        plots.log_figure(self, "forecast.png", draw.forecast(self.examples.first, self.quantiles))
        plots.log_figure(self, "errors.png", draw.errors(errors))
        plots.log_figure(self, "gradient.png", draw.gradient(self.gradient_over_time()))

    def _baselines(self, x: Tensor) -> dict[str, Tensor]:
        """The forecasts (B, horizon) of each baseline."""
        found = {"naive": naive(x, self.horizon)}
        if self.season is not None:
            found["seasonal_naive"] = seasonal_naive(x, self.horizon, self.season)
        values = x.log() if self.log_scale else x
        steps = self.autoregression.forecast(values, self.horizon)
        return {**found, "ar": steps.exp() if self.log_scale else steps}

    def _scaled(self, metrics: Any) -> dict[str, Tensor]:
        values: dict[str, Tensor] = {name: value.mean() for name, value in metrics.compute().items()}
        if self.naive_error > 0:  # else the series repeats itself exactly
            values["mase"] = values["mae"] / self.naive_error
        return values


class _Constant(nn.Module):
    """(B, T) -> the same numbers (B, outputs) for every window."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight.expand(len(x), -1)


class _Last(nn.Module):
    """(B, T) -> (B, outputs) from what a network over sequences knows after the last step."""

    def __init__(self, body: SequenceNetwork, outputs: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(body.out_features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.body(x.unsqueeze(2)).last)
        return found


def pinball(found: Tensor, y: Tensor, quantiles: list[float]) -> Tensor:
    """The pinball loss of each forecast: (B, horizon, Q) and (B, horizon) -> (B, horizon, Q).

    >>> pinball(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[3.0]]), [0.1, 0.5]).tolist()
    [[[0.20000000298023224, 0.5]]]
    """
    below = y.unsqueeze(2) - found
    levels = torch.tensor(quantiles, device=y.device, dtype=below.dtype)
    return torch.maximum(levels * below, (levels - 1) * below)


def scores(horizon: int) -> MetricCollection:
    """Metrics of forecasts (B, horizon) and of what came: the mean absolute error by distance, and one for all."""
    return MetricCollection(
        {"mae": MeanAbsoluteError(num_outputs=horizon), "rmse": MeanSquaredError(squared=False)}, compute_groups=False
    )


TASK = Task(module=Forecast, data=SeriesData, monitor="val/mae", mode="min")
