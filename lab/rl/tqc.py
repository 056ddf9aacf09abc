"""Truncated quantile critics: soft actor-critic whose critics learn distributions and cut their upper ends off.

Source: Kuznetsov et al. 2020, "Controlling overestimation bias with truncated mixture of continuous distributional
quantile critics". Everything but the critics is `SAC`, with its deviations.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le
from torch import Tensor

from lab.errors import BadSetting
from lab.networks import upcast
from lab.rl.common.learner import HiddenSizes
from lab.rl.common.quantiles import quantile_fractions, quantile_huber
from lab.rl.data.replay import ReplayData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec
from lab.rl.networks.actor_critic import Critics
from lab.rl.sac import SAC
from lab.task import Task, Unit


class TQC(SAC):
    """Soft actor-critic with truncated quantile critics for continuous actions.

    Args:
        num_critics: number of critics.
        num_quantiles: number of quantiles of the return per critic.
        top_quantiles_to_drop: number of the largest quantiles per critic that the target drops; more is more
            pessimistic.
    """

    fractions: Tensor

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        lr: Annotated[float, Gt(0)] = 3e-4,
        final_lr: Unit = 1.0,
        gamma: Unit = 0.99,
        tau: Annotated[float, Gt(0), Le(1)] = 0.005,
        hidden: HiddenSizes = [256, 256],  # noqa: B006 - never changed
        alpha_init: Annotated[float, Gt(0)] = 1.0,
        target_entropy: float | None = None,
        reward_scale: Annotated[float, Gt(0)] = 1.0,
        num_critics: Annotated[int, Gt(0)] = 2,
        num_quantiles: Annotated[int, Gt(0)] = 25,
        top_quantiles_to_drop: Annotated[int, Ge(0)] = 2,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        num_envs: int = 1,
    ) -> None:
        if top_quantiles_to_drop >= num_quantiles:
            found = f"expected less than num_quantiles ({num_quantiles}), found {top_quantiles_to_drop}"
            raise BadSetting("top_quantiles_to_drop", found)
        self.num_quantiles = num_quantiles  # before the critics are made
        self.top_quantiles_to_drop = top_quantiles_to_drop
        super().__init__(
            env, observation_size, action, lr, final_lr, gamma, tau, hidden, alpha_init, target_entropy, reward_scale,
            normalize_observations, normalize_rewards, num_envs, num_critics,
        )  # fmt: skip
        self.register_buffer("fractions", quantile_fractions(num_quantiles), persistent=False)

    def _critics(self, observation_size: ObservationSize, action_size: int, hidden: HiddenSizes) -> Critics:
        return Critics(observation_size, action_size, hidden, self.num_critics, outputs=self.num_quantiles)

    def _next_value(self, values: Tensor) -> Tensor:
        """The lowest quantiles of all critics together (B, K): (N, B, M) -> K = N (M - drop)."""
        pooled = values.transpose(0, 1).flatten(1)  # (B, N M)
        return pooled.sort(-1).values[:, : pooled.shape[1] - self.top_quantiles_to_drop * len(values)]

    def _actor_objective(self, values: Tensor) -> Tensor:
        """The mean over critics and quantiles, of which nothing is cut off."""
        return values.mean((0, 2)).unsqueeze(-1)

    def _critic_loss(self, values: Tensor, goal: Tensor) -> Tensor:
        """Quantile Huber loss of each quantile (N, B, M) against each atom of the goal (B, K), summed over critics."""
        pooled = upcast(values).transpose(0, 1).flatten(1)  # (B, N M)
        losses = quantile_huber(pooled, upcast(goal), self.fractions.repeat(len(values)))
        return len(values) * losses.mean() / goal.shape[1]


TASK = Task(module=TQC, data=ReplayData, monitor="val/return", mode="max")
