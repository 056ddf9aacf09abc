"""TD3+BC: TD3 on recorded transitions, whose actor also keeps to the recorded actions.

Source: Fujimoto & Gu 2021, "A minimalist approach to offline reinforcement learning". Deviations: those of TD3, and
squared errors of actions are in units of half their range.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le
from torch import Tensor
from torch.nn import functional as F

from lab.rl.common.learner import HiddenSizes
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec, continuous
from lab.rl.offline.offline_agent import OfflineAgent, has_vectors
from lab.rl.offline.offline_data import OfflineData
from lab.rl.td3 import TD3
from lab.task import Task, Unit


class TD3BC(OfflineAgent, TD3):
    """TD3 with behaviour cloning for continuous actions.

    Args:
        lr: learning rate of the actor's and the critics' Adam.
        alpha: weight of the value in the actor's loss, in units of the mean absolute value; 0 is behaviour cloning.
    """

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
        alpha: Annotated[float, Ge(0)] = 2.5,
        target_policy_noise: Annotated[float, Ge(0)] = 0.2,
        target_noise_clip: Annotated[float, Ge(0)] = 0.5,
        policy_delay: Annotated[int, Gt(0)] = 2,
        reward_scale: Annotated[float, Gt(0)] = 1.0,
        normalize_observations: bool = True,
    ) -> None:
        super().__init__(
            env,
            observation_size,
            continuous(action, "td3_bc", "use task=cql"),
            lr=lr,
            final_lr=final_lr,
            gamma=gamma,
            tau=tau,
            hidden=hidden,
            target_policy_noise=target_policy_noise,
            target_noise_clip=target_noise_clip,
            policy_delay=policy_delay,
            reward_scale=reward_scale,
            normalize_observations=normalize_observations and has_vectors(observation_size),
        )
        self.save_hyperparameters()
        self.alpha = alpha

    def actor_loss(self, observation: Tensor, action: Tensor) -> Tensor:
        """The actor climbs the first critic, and stays near the recorded actions: (B, O), (B, A)."""
        chosen = self.actor(observation)
        value: Tensor = self.critics(observation, chosen)[0]
        cloning: Tensor = F.mse_loss(chosen / self.actor.scale, action / self.actor.scale)
        return cloning - self.alpha * value.mean() / value.abs().mean().detach()


TASK = Task(module=TD3BC, data=OfflineData, monitor="val/return", mode="max")
