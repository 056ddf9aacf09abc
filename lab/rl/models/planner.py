"""Planning with a model: of many sequences of actions, which begins best?

Sources: random shooting (Nagabandi et al. 2018); the cross-entropy method as in Chua et al. 2018 (PETS); model
predictive path integral control, MPPI (Williams et al. 2017); noise that is correlated over time (Pinneri et al. 2020,
iCEM). The three differ only in how much each sequence counts for the next mean. Deviations: the random numbers are the
same in every plan, so that an action is a function of the state, and a plan does not begin with the rest of the one
before; MPPI's temperature is in standard deviations of the returns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.rl.envs.spaces import ContinuousSpec, DiscreteSpec

Method = Literal["random_shooting", "cem", "mppi"]
LEAST_PROBABILITY = 0.02  # of a discrete action in a new distribution, so that none is given up for good


class Planner(nn.Module):
    """The first action of the best sequence of `horizon` actions that it finds.

    >>> planner = Planner({"low": [-2.0], "high": [2.0]}, horizon=3, method="cem", num_candidates=200, num_iterations=5)
    >>> near_one = lambda actions: -(actions - 1).square().sum((-2, -1))  # the best sequence is 1, 1, 1
    >>> bool((planner(near_one, batch=4) - 1).abs().max() < 0.1)
    True

    Args:
        action: bounds of a continuous action, or number of discrete ones; A numbers, or one for each action.
        horizon: steps of a sequence, H.
        method: `random_shooting` takes the best of uniform sequences, `cem` goes on around the best ones, `mppi` around
            all of them, weighted by their returns.
        num_candidates: sequences of an iteration, P.
        num_iterations: how often new ones are drawn; `random_shooting` draws as many all at once.
        elite_frac: share of the sequences that count as the best; for `cem`.
        temperature: of the weights, in standard deviations of the returns; for `mppi`.
        noise_beta: exponent of the noise's colour: power falls with frequency as f^-noise_beta; from 0, white.
    """

    low: Tensor
    high: Tensor
    noise: Tensor

    def __init__(
        self,
        action: ContinuousSpec | DiscreteSpec,
        horizon: int,
        method: Method = "cem",
        num_candidates: int = 200,
        num_iterations: int = 5,
        elite_frac: float = 0.1,
        temperature: float = 0.2,
        noise_beta: float = 0.0,
    ) -> None:
        super().__init__()
        self.method, self.temperature = method, temperature
        self.elite = max(2, round(elite_frac * num_candidates))
        low, high, self.count = [0.0], [1.0], 0
        if "count" in action:
            self.count = action["count"]
        else:
            low, high = action["low"], action["high"]
        self.register_buffer("low", torch.tensor(low), persistent=False)
        self.register_buffer("high", torch.tensor(high), persistent=False)
        if method == "random_shooting":
            num_candidates, num_iterations = num_candidates * num_iterations, 1
        shape = (num_iterations, num_candidates, horizon, self.count or len(low))
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        self.register_buffer("noise", _colored(noise, noise_beta), persistent=False)

    @property
    def action_size(self) -> int:
        """Numbers of an action in a sequence: discrete ones are one-hot."""
        return self.noise.shape[-1]

    def forward(self, evaluate: Callable[[Tensor], Tensor], batch: int) -> Tensor:
        """The actions (B, A), or indices (B,), with which to begin.

        Args:
            evaluate: sequences (B, P, H, A) of actions, within their bounds or one-hot -> their returns (B, P).
            batch: number of states to plan for, B.
        """
        mean = std = torch.zeros(())
        for number, noise in enumerate(self.noise):
            sequences = self._draw(noise, mean, std, number == 0).expand(batch, -1, -1, -1)
            weights = self._weights(evaluate(sequences))[..., None, None]
            mean = (weights * sequences).sum(1, keepdim=True)
            std = (weights * (sequences - mean).square()).sum(1, keepdim=True).sqrt()
        first = mean[:, 0, 0]
        return first.argmax(-1) if self.count else torch.clamp(first, self.low, self.high)

    def _draw(self, noise: Tensor, mean: Tensor, std: Tensor, first: bool) -> Tensor:
        """Sequences (1 or B, P, H, A), at first uniform, then around `mean`."""
        if self.count:  # the largest of the logarithms of the probabilities with Gumbel noise is a sample
            gumbel = -(-_uniform(noise).log()).log()
            logits = torch.zeros(()) if first else mean.clamp_min(LEAST_PROBABILITY).log()
            return F.one_hot((logits + gumbel).argmax(-1), self.count).to(noise.dtype).reshape(-1, *noise.shape)
        if first:
            return torch.lerp(self.low, self.high, _uniform(noise))[None]
        return torch.clamp(mean + std * noise, self.low, self.high)

    def _weights(self, returns: Tensor) -> Tensor:
        """Weights of the sequences, (B, P), with a sum of 1."""
        if self.method == "mppi":
            scale = self.temperature * returns.std(-1, keepdim=True).clamp_min(1e-6)
            return ((returns - returns.mean(-1, keepdim=True)) / scale).softmax(-1)
        best = returns.topk(1 if self.method == "random_shooting" else self.elite, -1).indices
        return torch.zeros_like(returns).scatter(-1, best, 1 / best.shape[-1])


def _uniform(normal: Tensor) -> Tensor:
    """Standard normal numbers as ones between 0 and 1, both excluded."""
    return (0.5 * (1 + torch.erf(normal / math.sqrt(2)))).clamp(1e-6, 1 - 1e-6)


def _colored(white: Tensor, beta: float) -> Tensor:
    """Noise (..., H, A) whose power falls with frequency as f^-beta along H, with variance 1; see Timmer & Koenig 1995.

    Args:
        white: standard normal.
        beta: from 0, white.
    """
    steps = white.shape[-2]
    frequencies = torch.fft.rfftfreq(steps)
    frequencies[0] = frequencies[1] if steps > 1 else 1.0
    colored = torch.fft.irfft(torch.fft.rfft(white, dim=-2) * frequencies[:, None] ** (-beta / 2), n=steps, dim=-2)
    scaled: Tensor = colored / colored.square().mean((0, 1), keepdim=True).sqrt()
    return scaled
