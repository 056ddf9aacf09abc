"""The belief about a task: a Gaussian over latent variables, to which every transition is one factor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.networks import MLP
from lab.rl.networks.actor_critic import GaussianActor
from lab.rl.networks.exploration import Act, ExplorationPolicy

MIN_VARIANCE = 1e-4  # of a single factor


class ContextEncoder(nn.Module):
    """Transitions -> the Gaussian factors of a posterior, in a form in which the factors of a product add up.

    The posterior is the product of a standard normal prior and one Gaussian for each transition, whatever their order
    (Rakelly et al. 2019, equation 4, which has no prior in it; with it no context at all gives the prior). Its
    precision is 1 plus the sum of the factors' precisions, its mean the sum of their means, weighted by precision, over
    that.

    >>> encoder = ContextEncoder(transition_size=6, latent_size=5, hidden=[16])
    >>> mean, variance = encoder.infer(torch.zeros(8, 32, 6))
    >>> mean.shape, variance.shape
    (torch.Size([8, 5]), torch.Size([8, 5]))

    Args:
        transition_size: numbers of a transition, W: observation, action and reward.
        latent_size: number of latent variables, Z.
        hidden: widths of the hidden layers.
    """

    def __init__(self, transition_size: int, latent_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.network, self.latent_size = MLP(transition_size, hidden, 2 * latent_size), latent_size

    def forward(self, transition: Tensor) -> Tensor:
        """Precision times mean, and precision (..., 2 Z), of the factors of transitions (..., W)."""
        mean, variance = self.network(transition).chunk(2, -1)
        precision = 1 / (F.softplus(variance) + MIN_VARIANCE)
        return torch.cat([precision * mean, precision], -1)

    def infer(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (..., Z) of the posterior, given contexts (..., C, W)."""
        return self.posterior(self(context).sum(-2))

    @staticmethod
    def posterior(total: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (..., Z), given the sum of all factors (..., 2 Z); zeros give the prior."""
        weighted, precision = total.chunk(2, -1)
        variance = 1 / (1 + precision)
        return weighted * variance, variance


def kl_to_prior(mean: Tensor, variance: Tensor) -> Tensor:
    """KL divergence (...) of Gaussians with these means and variances (..., Z) from the standard normal one."""
    return 0.5 * (variance + mean.square() - 1 - variance.log()).sum(-1)


class Belief:
    """The knowledge of the trials that are played: a row of numbers for each, zeros where one begins.

    A row has the sum of the factors of all transitions so far, the latest sample of the posterior, the previous
    observation, and 1.

    Args:
        encoder: makes factors of transitions.
        own_size: numbers of an observation that are the environment's own; the previous action and reward follow them,
            and the number of the task.
    """

    def __init__(self, encoder: ContextEncoder, own_size: int) -> None:
        self.encoder, self.own_size, self.latent_size = encoder, own_size, encoder.latent_size
        self.size = 3 * self.latent_size + own_size + 1

    def step(self, observation: Tensor, state: Tensor, is_due: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs of actor and critics (N, own_size + Z), and the rows after it.

        Args:
            observation: (N, O).
            state: rows (N, size).
            is_due: where the posterior is sampled (N,).
            noise: standard normal (N, Z), for the samples.
        """
        own, previous = observation[:, : self.own_size], observation[:, self.own_size : -1]
        total, latent, before, is_known = state.split([2 * self.latent_size, self.latent_size, self.own_size, 1], -1)
        total = total + is_known * self.encoder(torch.cat([before, previous], -1))
        mean, variance = self.encoder.posterior(total)
        latent = torch.where(is_due.unsqueeze(-1), mean + variance.sqrt() * noise, latent)
        return torch.cat([own, latent], -1), torch.cat([total, latent, own, torch.ones_like(is_known)], -1)


class PosteriorExploration(ExplorationPolicy):
    """Samples actions of an actor that sees a sample of the posterior, a new one every `resample_every` steps.

    The rows of the belief and the number of steps belong to the collection, whose state a checkpoint holds.

    Args:
        actor: (N, own_size + Z) -> distribution of actions.
        belief: makes its inputs.
        resample_every: steps of a trial from one sample to the next.
        num_envs: environments that collect.
    """

    in_keys: tuple[str, ...] = ("observation", "is_init")
    state: Tensor
    steps: Tensor

    def __init__(self, actor: GaussianActor, belief: Belief, resample_every: int, num_envs: int) -> None:
        super().__init__()
        self.network, self.belief, self.resample_every = actor, belief, resample_every
        self.register_buffer("state", torch.zeros(num_envs, belief.size), persistent=False)
        self.register_buffer("steps", torch.zeros(num_envs, dtype=torch.int64), persistent=False)  # of each trial

    def noise(self, *shape: int) -> Tensor:
        """For the action, and for the sample of the posterior."""
        scale = self.network.scale
        size = len(scale) + self.belief.latent_size
        return torch.randn(*shape, size, dtype=scale.dtype, device=scale.device)

    def actor(self) -> Act:
        explore, actions = self.network.explorer(), len(self.network.scale)

        def act(observation: Tensor, noise: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor]:
            begun = ~is_init
            state, steps = self.state * begun.unsqueeze(-1), self.steps * begun
            is_due = steps % self.resample_every == 0
            seen, state = self.belief.step(observation.to(noise.dtype), state, is_due, noise[:, actions:])
            self.state.copy_(state)
            self.steps.copy_(steps + 1)
            action = explore(seen, noise[:, :actions]).to(torch.float32)
            return action, action

        return act
