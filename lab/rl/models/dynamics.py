"""A learned model of an environment: an ensemble of networks, computed as one, that predicts what a step brings.

Source: Chua et al. 2018, "Deep reinforcement learning in a handful of trials using probabilistic dynamics models"
(PETS). Deviations: the bounds of the predicted variances are fixed, and whether a step terminates the episode is
learned as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.rl.envs.observations import ObservationSize
from lab.rl.networks.normalization import EPSILON, RunningMeanStd

LOG_VAR_MIN, LOG_VAR_MAX = -10.0, 0.5  # of the predictions, in units of the targets' variance


class Prediction(NamedTuple):
    """The prediction of each member for B steps.

    Args:
        mean: of the change of the observation, and of the reward, (E, B, O + 1).
        log_var: logarithm of its variance, like `mean`; both in units of the targets' standard deviation.
        ended: logit of the termination, (E, B, 1).
    """

    mean: Tensor
    log_var: Tensor
    ended: Tensor


class EnsembleMLP(nn.Module):
    """Several perceptrons of one shape: rows (E, B, in) of each -> (E, B, out), with one product for each layer.

    >>> EnsembleMLP(5, 4, [16], 2)(torch.zeros(5, 8, 4)).shape
    torch.Size([5, 8, 2])

    Args:
        num_members: how many, E.
        in_features: size of the input.
        hidden: widths of the hidden layers, with SiLU.
        out_features: size of the output.
    """

    def __init__(self, num_members: int, in_features: int, hidden: Sequence[int], out_features: int) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inner, outer in pairwise([in_features, *hidden, out_features]):
            bound = 1 / math.sqrt(inner)  # as torch.nn.Linear begins
            self.weights.append(nn.Parameter(torch.empty(num_members, inner, outer).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.empty(num_members, 1, outer).uniform_(-bound, bound)))

    def forward(self, rows: Tensor) -> Tensor:
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            rows = torch.baddbmm(bias, rows, weight)
            rows = rows if layer == last else F.silu(rows)
        return rows


class DynamicsModel(nn.Module):
    """Predicts the next observation, the reward and the termination; an action is a row of numbers, or one-hot.

    Args:
        observation_size: length of an observation, O.
        action_size: length of an action, A.
        hidden: widths of the hidden layers.
        num_members: networks of the ensemble, E.
        probabilistic: each predicts a Gaussian; else its mean alone, from squared errors.

    Raises:
        BadSetting: observations are no vectors.
    """

    def __init__(
        self,
        observation_size: ObservationSize,
        action_size: int,
        hidden: Sequence[int],
        num_members: int,
        probabilistic: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(observation_size, int):
            raise BadSetting("env", "a model of the environment needs observations that are vectors")
        self.size, self.num_members, self.probabilistic = observation_size, num_members, probabilistic
        self.network = EnsembleMLP(num_members, observation_size + action_size, hidden, 2 * observation_size + 3)
        self.inputs = RunningMeanStd(observation_size + action_size)
        self.targets = RunningMeanStd(observation_size + 1)

    def observe(self, observation: Tensor, action: Tensor, reward: Tensor, following: Tensor) -> None:
        """Merges steps (B, ...), with rewards (B, 1), into the statistics of inputs and targets."""
        self.inputs.update(torch.cat([observation, action], -1))
        self.targets.update(torch.cat([following - observation, reward], -1))

    def forward(self, observation: Tensor, action: Tensor) -> Prediction:
        """The prediction of each member for rows of its own, (E, B, O) and (E, B, A)."""
        rows = torch.cat([observation, action], -1)
        found = self.network((rows - self.inputs.mean) * (self.inputs.var + EPSILON).rsqrt())
        mean, raw, ended = found.split([self.size + 1, self.size + 1, 1], -1)
        log_var = LOG_VAR_MAX - F.softplus(LOG_VAR_MAX - raw)
        return Prediction(mean, LOG_VAR_MIN + F.softplus(log_var - LOG_VAR_MIN), ended)

    def loss(self, observation: Tensor, action: Tensor, reward: Tensor, following: Tensor, ended: Tensor) -> Tensor:
        """The sum of the members' losses; each has a share of the rows (B, ...) of its own, and the rest is left out.

        Gaussian negative log-likelihood without its constant, or squared errors, in units of the targets' deviation,
        and the cross-entropy of the termination.
        """
        rows = len(observation) // self.num_members
        shares = (
            each[: rows * self.num_members].view(self.num_members, rows, -1)
            for each in (observation, action, reward, following, ended)
        )
        observation, action, reward, following, ended = shares
        predicted = self(observation, action)
        target = torch.cat([following - observation, reward], -1)
        target = (target - self.targets.mean) * (self.targets.var + EPSILON).rsqrt()
        errors = (target - predicted.mean).square()
        if self.probabilistic:
            errors = 0.5 * (errors * torch.exp(-predicted.log_var) + predicted.log_var)
        terminated = F.binary_cross_entropy_with_logits(predicted.ended, ended.to(target.dtype))
        loss: Tensor = self.num_members * (errors.sum(-1).mean() + terminated)
        return loss

    def step(self, observation: Tensor, action: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Next observations (E, B, O), rewards (E, B, 1), and the probability (E, B, 1) that the step terminated.

        Args:
            observation: rows for each member, (E, B, O).
            action: of each, (E, B, A).
            noise: standard normal (E, B, O + 1); None takes the means.
        """
        predicted = self(observation, action)
        change = predicted.mean
        if noise is not None and self.probabilistic:
            change = change + noise * torch.exp(0.5 * predicted.log_var)
        change = self.targets.mean + change * (self.targets.var + EPSILON).sqrt()
        return observation + change[..., :-1], change[..., -1:], predicted.ended.sigmoid()
