"""CrossQ: soft actor-critic with batch-renormalised networks, wide critics and no target networks.

Source: Bhatt et al. 2024, "CrossQ: batch normalization in deep reinforcement learning for greater sample efficiency and
simplicity". The critics judge states and next states in one batch, so that both are normalised by the same statistics.
Deviations: those of `SAC`; the last layers begin near 0; the critics are 1,024 neurons wide by default, as in
sb3-contrib, and not 2,048.
"""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor

from lab.rl.common.adam import Adam
from lab.rl.common.learner import HiddenSizes
from lab.rl.data.replay import ReplayData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec, ContinuousSpec
from lab.rl.networks.batch_renorm import RenormActor, RenormCritics
from lab.rl.sac import SAC
from lab.task import Task, Unit


class CrossQ(SAC):
    """Soft actor-critic without target networks for continuous actions; batch renormalisation takes their place.

    Args:
        hidden: widths of the actor's hidden layers.
        critic_hidden: widths of the critics' hidden layers.
        beta1: decay rate of the mean gradient in Adam, of actor and critics.
        batch_norm_momentum: share of a batch in the running statistics of the normalisation.
        renorm_warmup_steps: updates with ordinary batch normalisation, before batches are corrected towards the running
            statistics.
    """

    actor: RenormActor
    critics: RenormCritics

    averages_gradients = False  # each process would have batch statistics of its own

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        lr: Annotated[float, Gt(0)] = 1e-3,
        final_lr: Unit = 1.0,
        gamma: Unit = 0.99,
        hidden: HiddenSizes = [256, 256],  # noqa: B006 - never changed
        critic_hidden: HiddenSizes = [1024, 1024],  # noqa: B006
        alpha_init: Annotated[float, Gt(0)] = 1.0,
        target_entropy: float | None = None,
        reward_scale: Annotated[float, Gt(0)] = 1.0,
        normalize_rewards: bool = False,
        num_envs: int = 1,
        num_critics: Annotated[int, Gt(0)] = 2,
        policy_delay: Annotated[int, Gt(0)] = 3,
        beta1: Annotated[float, Ge(0), Lt(1)] = 0.5,
        batch_norm_momentum: Annotated[float, Gt(0), Le(1)] = 0.01,
        renorm_warmup_steps: Annotated[int, Ge(0)] = 100_000,
    ) -> None:
        self.critic_hidden, self.beta1 = critic_hidden, beta1  # before the networks are made
        self.renorm = {"momentum": batch_norm_momentum, "warmup_steps": renorm_warmup_steps}
        super().__init__(
            env, observation_size, action, lr, final_lr, gamma, hidden=hidden, alpha_init=alpha_init,
            target_entropy=target_entropy, reward_scale=reward_scale, normalize_rewards=normalize_rewards,
            num_envs=num_envs, num_critics=num_critics, policy_delay=policy_delay,
        )  # fmt: skip

    def _actor(self, observation_size: ObservationSize, bounds: ContinuousSpec, hidden: HiddenSizes) -> RenormActor:
        return RenormActor(observation_size, bounds, hidden, **self.renorm)

    def _critics(self, observation_size: ObservationSize, action_size: int, hidden: HiddenSizes) -> RenormCritics:  # noqa: ARG002
        return RenormCritics(observation_size, action_size, self.critic_hidden, self.num_critics, **self.renorm)

    def _make_targets(self) -> None:
        """None: the critics are their own targets."""

    def _update_targets(self, critics: list[Tensor]) -> None:
        """None."""

    def configure_optimizers(self) -> Adam:
        actor, critics, alpha = self.groups()
        own = {"lr": self.lr, "betas": (self.beta1, 0.999)}
        return Adam([{"params": actor, **own}, {"params": critics, **own}, {"params": alpha, "lr": self.lr}])

    def _judge(
        self,
        observation: Tensor,
        action: Tensor,
        next_observation: Tensor,
        following: Tensor,
        subset: Tensor | None,  # noqa: ARG002 - of SAC
    ) -> tuple[Tensor, Tensor]:
        """Both values by the critics, normalised by the statistics of both batches together."""
        both = self.critics.on_batch(torch.cat([observation, next_observation]), torch.cat([action, following]))
        values, next_values = both.chunk(2, 1)
        return values, self._next_value(next_values.detach())

    def _sample(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return self.actor.sample_on_batch(observation, noise)


TASK = Task(module=CrossQ, data=ReplayData, monitor="val/return", mode="max")
