"""Conservative Q-learning (CQL) for discrete actions: DQN on recorded transitions, with low values of other actions.

Source: Kumar et al. 2020, "Conservative Q-learning for offline reinforcement learning", CQL(H) with a fixed weight.
"""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Gt, Le
from torch import Tensor

from lab.rl.common.learner import HiddenSizes
from lab.rl.dqn import DQN, pick
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec, discrete
from lab.rl.offline.offline_agent import OfflineAgent, has_vectors
from lab.rl.offline.offline_data import OfflineData
from lab.task import Task, Unit


class CQL(OfflineAgent, DQN):
    """Conservative Q-learning for discrete actions.

    Args:
        alpha: weight of the conservative term, which is the log-sum-exp of all actions' values less the recorded one's.
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
        target_update_interval: Annotated[int, Ge(1)] = 1,
        max_grad_norm: Annotated[float, Gt(0)] | None = 10.0,
        hidden: HiddenSizes = [256, 256],  # noqa: B006 - never changed
        alpha: Annotated[float, Ge(0)] = 1.0,
        double: bool = True,
        dueling: bool = False,
        reward_scale: Annotated[float, Gt(0)] = 1.0,
        normalize_observations: bool = True,
    ) -> None:
        super().__init__(
            env,
            observation_size,
            discrete(action, "cql", "use task=td3_bc or task=iql", bins=False),
            lr=lr,
            final_lr=final_lr,
            gamma=gamma,
            tau=tau,
            target_update_interval=target_update_interval,
            max_grad_norm=max_grad_norm,
            hidden=hidden,
            double=double,
            dueling=dueling,
            reward_scale=reward_scale,
            normalize_observations=normalize_observations and has_vectors(observation_size),
        )
        self.save_hyperparameters()
        self.alpha = alpha

    def loss(self, observation: Tensor, action: Tensor, *batch: Any) -> tuple[Tensor, Tensor | None, Tensor]:
        """That of DQN and the conservative term: (B, O), (B,) and the rest of DQN's."""
        loss, error, value = super().loss(observation, action, *batch)
        outputs = self.network(observation)  # (B, A, 1)
        conservative = outputs.squeeze(-1).logsumexp(-1) - pick(outputs, action).squeeze(-1)
        return loss + self.alpha * conservative.mean(), error, value


TASK = Task(module=CQL, data=OfflineData, monitor="val/return", mode="max")
