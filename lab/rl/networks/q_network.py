"""Networks for the values of a few actions: dueling, noisy and distributional, each if asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.networks import MLP, without_autocast
from lab.rl.envs.observations import ObservationSize
from lab.rl.networks.encoder import Encoder


class QNetwork(nn.Module):
    """observation (..., O) -> (..., A, N): for each of A actions a value (N = 1) or the logits of its N returns.

    Hidden layers but the last are the body. A stream is the last hidden layer and an output: one for all, or, `dueling`
    (Wang et al. 2016), one for the value of the state and one for what each action adds to it. With `sigma` the layers
    of the streams are noisy (Fortunato et al. 2018) and those of the body are not, as there the fully connected layers
    are and the convolutions are not. Observations are divided by `scale` (O,), or go through an encoder if they are
    no vectors.

    >>> QNetwork(4, 2, hidden=[16, 16], atoms=51, dueling=True)(torch.zeros(8, 4)).shape
    torch.Size([8, 2, 51])

    Args:
        observation_size: what an observation is.
        num_actions: A.
        hidden: widths of the hidden layers, one at least.
        atoms: N.
        dueling: two streams, whose values are added.
        sigma: first standard deviation of the noise, as `NoisyLinear` has it; None for layers without noise.
        scale: divisors (O,) of observations that are vectors; by default 1.
    """

    scale: Tensor | None

    def __init__(
        self,
        observation_size: ObservationSize,
        num_actions: int,
        hidden: Sequence[int],
        atoms: int = 1,
        dueling: bool = False,
        sigma: float | None = None,
        scale: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.encoder: nn.Module = nn.Identity()
        size = observation_size
        if not isinstance(size, int):
            self.encoder = Encoder(size)
            size = self.encoder.width
        self.masked = isinstance(self.encoder, Encoder) and self.encoder.layout.mask is not None
        self.register_buffer("scale", None if scale is None else torch.tensor(scale), persistent=False)
        *body, last = hidden
        self.shapes = [(num_actions, atoms), (1, atoms)] if dueling else [(num_actions, atoms)]
        self.body = MLP(size, body, None)
        width = self.body.out_features
        self.streams = nn.ModuleList(Stream(width, last, rows * atoms, sigma) for rows, _ in self.shapes)
        self.splits = [2 * last + width + rows * atoms if sigma is not None else 0 for rows, _ in self.shapes]
        self.noise_size = sum(self.splits)

    def forward(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """With `noise`, standard normal (`noise_size`,), its weights are a sample; without, their means."""
        scaled = observation if self.scale is None else observation / self.scale
        features = self.body(self.encoder(scaled))  # (..., hidden)
        parts: Sequence[Tensor | None] = [None] * len(self.streams)
        if noise is not None and self.noise_size:
            shaped = noise.sign() * noise.abs().sqrt()
            parts = shaped.split(self.splits)
        advantage, *value = (
            stream(features, part).unflatten(-1, shape)
            for stream, part, shape in zip(self.streams, parts, self.shapes, strict=True)
        )  # (..., A, N), [(..., 1, N)]
        values: Tensor = value[0] + advantage - advantage.mean(-2, keepdim=True) if value else advantage
        return values

    def greedy(self, values: Tensor, observation: Tensor) -> Tensor:
        """The actions (...) of the greatest `values` (..., A), among those that are valid after `observation`."""
        if isinstance(self.encoder, Encoder) and (valid := self.encoder.valid(observation)) is not None:
            values = values.masked_fill(~valid, -math.inf)
        return values.argmax(-1)

    def as_function(self) -> Callable[[Tensor, Tensor | None], Tensor]:
        """The present network as a plain function, for many calls with few rows; itself where it has more parts."""
        if self.noise_size or len(self.streams) > 1 or not isinstance(self.encoder, nn.Identity):
            return self
        body, scale, shape = self.body.as_function(), self.scale, self.shapes[0]
        layers: Any = self.streams[0].layers
        first, second = (partial(F.linear, weight=layer.weight, bias=layer.bias) for layer in layers)

        def forward(observation: Tensor, noise: Tensor | None) -> Tensor:  # noqa: ARG001
            scaled = observation if scale is None else observation / scale
            values: Tensor = second(F.relu(first(body(scaled)))).unflatten(-1, shape)
            return values

        return forward


class Stream(nn.Module):
    """A hidden layer and an output, both noisy or neither."""

    def __init__(self, inputs: int, hidden: int, outputs: int, sigma: float | None) -> None:
        super().__init__()
        sizes = [(inputs, hidden), (hidden, outputs)]
        self.layers = nn.ModuleList(
            nn.Linear(*size) if sigma is None else NoisyLinear(*size, sigma=sigma) for size in sizes
        )
        self.splits = [inputs + hidden, hidden + outputs]

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        layers: Any = self.layers
        parts: Any = [()] * 2 if noise is None else [(part,) for part in noise.split(self.splits)]
        hidden = F.relu(layers[0](x, *parts[0]))
        with without_autocast(x.device):  # values in the precision of the weights
            values: Tensor = layers[1](hidden.to(layers[1].weight.dtype), *parts[1])
        return values


class NoisyLinear(nn.Linear):
    """weight + sigma * noise, with factorised noise: one number per input and one per output (Fortunato et al. 2018).

    torchrl's layer computes the same from noise that it keeps as a buffer, and by a mode that is set from outside. Here
    the noise is an argument: an update is a function of its batch, eager or compiled, and there is no state to resume.

    >>> layer = NoisyLinear(4, 2)
    >>> torch.equal(layer(torch.ones(8, 4), noise=torch.zeros(6)), layer(torch.ones(8, 4)))  # the means
    True

    Args:
        inputs: width of the input.
        outputs: width of the output.
        sigma: first standard deviation, times sqrt(inputs); from 0.
    """

    def __init__(self, inputs: int, outputs: int, sigma: float = 0.5) -> None:
        super().__init__(inputs, outputs)  # torch's own first weights are the paper's: uniform to ±1/sqrt(inputs)
        self.weight_sigma = nn.Parameter(torch.full((outputs, inputs), sigma / math.sqrt(inputs)))
        self.bias_sigma = nn.Parameter(torch.full((outputs,), sigma / math.sqrt(inputs)))

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """`noise` (inputs + outputs,) are standard normal numbers under sign(.) sqrt|.|; without, the means."""
        if noise is None:
            return super().forward(x)
        ins, outs = noise.split([self.in_features, self.out_features])
        weight = self.weight + self.weight_sigma * torch.outer(outs, ins)
        return F.linear(x, weight, self.bias + self.bias_sigma * outs)
