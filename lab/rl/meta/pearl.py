"""PEARL: soft actor-critic for many tasks, which it tells apart by latent variables inferred from recent transitions.

Source: Rakelly et al. 2019, "Efficient off-policy meta-reinforcement learning via probabilistic context variables".
Deviations: those of `SAC`; the posterior has the prior as a factor; a trial in training is as one in a test, where the
paper's code collects many steps with a sample of the prior and more with one of the posterior; a context in training is
a piece of such a trial, so that it is like those of a test, and no mixture of steps from different attempts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from tensordict import TensorDictBase
from torch import Tensor, nn
from torch.nn import functional as F

from lab import plots
from lab.rl.common.learner import HiddenSizes
from lab.rl.common.observers import AttemptReturns, MeanCost, Observer
from lab.rl.envs.spaces import ActionSpec, continuous
from lab.rl.meta import plots as draw
from lab.rl.meta.posterior import Belief, ContextEncoder, PosteriorExploration, kl_to_prior
from lab.rl.meta.task_replay import TaskReplayData
from lab.rl.networks.memory import Follower
from lab.rl.sac import SAC
from lab.task import Task, Unit


class PEARL(SAC):
    """Soft actor-critic whose actor and critics see latent variables of the task, for continuous actions.

    Args:
        latent_size: number of latent variables.
        encoder_hidden: widths of the hidden layers of the network that infers them.
        kl_weight: weight of the KL divergence of the posterior from a standard normal prior.
        resample_every: steps of a trial for which the latent variables stay as they were sampled; 1 samples them anew
            for each step.
    """

    attempts: AttemptReturns  # of the latest evaluation

    batch_keys = (*SAC.batch_keys, "context")

    def __init__(
        self,
        env: str,
        observation_size: int,
        action: ActionSpec,
        lr: Annotated[float, Gt(0)] = 3e-4,
        final_lr: Unit = 1.0,
        gamma: Unit = 0.99,
        tau: Annotated[float, Gt(0), Le(1)] = 0.005,
        hidden: HiddenSizes = [256, 256],  # noqa: B006 - never changed
        alpha_init: Annotated[float, Gt(0)] = 1.0,
        target_entropy: float | None = None,
        reward_scale: Annotated[float, Gt(0)] = 1.0,
        num_envs: int = 1,
        latent_size: Annotated[int, Gt(0)] = 5,
        encoder_hidden: HiddenSizes = [200, 200, 200],  # noqa: B006
        kl_weight: Annotated[float, Ge(0)] = 0.1,
        resample_every: Annotated[int, Gt(0)] = 20,
    ) -> None:
        own_size = observation_size - len(continuous(action, "pearl")["low"]) - 2  # see `TaskBuffer`
        super().__init__(
            env, own_size + latent_size, action, lr, final_lr, gamma, tau, hidden, alpha_init, target_entropy,
            reward_scale, num_envs=num_envs,
        )  # fmt: skip
        self.kl_weight, self.own_size, self.resample_every = kl_weight, own_size, resample_every
        self.encoder = ContextEncoder(observation_size - 1, latent_size, encoder_hidden)
        self.belief = Belief(self.encoder, own_size)
        self.explorer = PosteriorExploration(self.actor, self.belief, resample_every, num_envs)
        self.example_input_array = torch.zeros(1, 1, observation_size)

    def forward(self, observation: Tensor) -> Tensor:
        """Greedy actions (B, T, A) for trials from their beginning on, (B, T, O), by the mean of the posterior."""
        own, previous = observation[..., : self.own_size], observation[..., self.own_size : -1]
        factors = self.encoder(torch.cat([own[:, :-1], previous[:, 1:]], -1))
        totals = F.pad(factors, (0, 0, 1, 0)).cumsum(1)  # of what is known at each step, (B, T, 2 Z)
        step = torch.arange(own.shape[1], device=own.device)
        mean, _ = self.encoder.posterior(totals[:, step - step % self.resample_every])
        action: Tensor = self.actor(torch.cat([own, mean], -1))
        return action

    def evaluation_policy(self) -> Callable[[Tensor], Tensor]:
        """Greedy actions for samples of the posterior, whose noise depends on the number of the trial alone."""
        steps: Counter[int] = Counter()  # of each trial so far
        size = self.encoder.latent_size

        def act(observation: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            samples = [divmod(steps[trial], self.resample_every) for trial in follower.episodes]
            seeds = [(trial, number) for trial, (number, _) in zip(follower.episodes, samples, strict=True)]
            noise = np.stack([np.random.default_rng(seed).standard_normal(size) for seed in seeds])
            is_due = torch.tensor([not since for _, since in samples], device=state.device)
            steps.update(follower.episodes)
            seen, state = self.belief.step(observation.to(self.dtype), state, is_due, torch.from_numpy(noise).to(state))
            return self.actor(seen), state

        follower = Follower(act, self.explorer.state[0])
        return follower

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        """Those of SAC; the encoder learns with the critics, from their loss."""
        actor, critics, alpha = super().groups()
        return actor, [*critics, *self.encoder.parameters()], alpha

    def _update_targets(self, critics: list[Tensor]) -> None:
        super()._update_targets(critics[: len(self.target_parameters)])

    def update_inputs(self, batches: TensorDictBase) -> tuple[Tensor, ...]:
        """With standard normal noise (updates, M, Z) for the latent variables of each task."""
        inputs = super().update_inputs(batches)
        context = batches["context"]
        return *inputs, context.new_empty(*context.shape[:2], self.encoder.latent_size).normal_()

    def losses(  # type: ignore[override]
        self,
        observation: Tensor,
        action: Tensor,
        reward: Tensor,
        next_observation: Tensor,
        terminated: Tensor,
        context: Tensor,
        noise: Tensor,
        next_noise: Tensor,
        latent_noise: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Those of SAC on transitions (B, ·) of M tasks, one after the other, with the KL divergence in the critics'.

        Besides there are contexts (M, C, O + A + 1) and noise (M, Z) for the samples of their posteriors, through which
        the critics' loss has a gradient, and the actor's has none.
        """
        mean, variance = self.encoder.infer(context)
        latent = mean + variance.sqrt() * latent_noise
        rows = latent.repeat_interleave(len(observation) // len(latent), 0)
        seen, ahead = torch.cat([observation, rows], -1), torch.cat([next_observation, rows.detach()], -1)
        critic_loss, value = self.critic_loss(seen, action, reward, ahead, terminated, next_noise)
        kl = kl_to_prior(mean, variance).mean()
        actor_loss, alpha_loss, entropy = self.actor_losses(seen.detach(), noise)
        return actor_loss, critic_loss + self.kl_weight * kl, alpha_loss, value, entropy

    def _update(self, state: Sequence[Any], *batch: Tensor, measure: bool, **flags: Any) -> dict[str, Tensor]:
        found = super()._update(state, *batch, measure=measure, **flags)
        if measure:
            with torch.no_grad():
                context = batch[5]
                found["kl"] = kl_to_prior(*self.encoder.infer(context)).mean()
        return found

    def observers(self, episodes: int) -> list[Observer]:
        """Not how far values are off, which depend on more than the present observation."""
        self.attempts = AttemptReturns(episodes)
        return [MeanCost(), self.attempts]

    def draw(self) -> None:
        if self.attempts.returns.size:
            drawing = draw.attempts(self.attempts.returns, float(self.attempts.optimal.mean()))
            plots.log_figure(self, "attempts.png", drawing)


TASK = Task(module=PEARL, data=TaskReplayData, monitor="val/return", mode="max")
