"""Behaviour cloning: supervised learning of the recorded actions; with `data.top_fraction`, of the best episodes'.

Source: Pomerleau 1991, "Efficient training of artificial neural networks for autonomous navigation"; the best tenth of
the episodes as in Chen et al. 2021 (%BC).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.rl.common import plots as pictures
from lab.rl.common.learner import HiddenSizes, gradient_norm
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec, continuous
from lab.rl.networks.actor_critic import Actor
from lab.rl.networks.policies import CategoricalPolicy
from lab.rl.offline.offline_agent import OfflineAgent, has_vectors
from lab.rl.offline.offline_data import OfflineData
from lab.task import Task, Unit


class BehaviorCloning(OfflineAgent):
    """A policy that does what was recorded: mean squared error of continuous actions, cross-entropy of discrete ones.

    Args:
        observation_size: what an observation is; the length of a vector.
        action: bounds of the action, or the number of discrete ones.
        lr: learning rate of Adam.
        hidden: widths of the hidden layers.
    """

    batch_keys = ("observation", "action")

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        lr: Annotated[float, Gt(0)] = 1e-3,
        final_lr: Unit = 1.0,
        hidden: HiddenSizes = [256, 256],  # noqa: B006 - never changed
        normalize_observations: bool = True,
    ) -> None:
        normalized = normalize_observations and has_vectors(observation_size)
        super().__init__(env, observation_size, lr, final_lr, 1.0, normalized, False, 1)
        self.save_hyperparameters()
        self.policy: Actor | CategoricalPolicy
        if "count" in action:
            self.policy = CategoricalPolicy(observation_size, action, hidden)
        elif "counts" in action:
            raise BadSetting("action", "behavior_cloning needs one discrete action or continuous ones")
        else:
            self.policy = Actor(observation_size, continuous(action, "behavior_cloning", "use no other"), hidden)

    def forward(self, observation: Tensor) -> Tensor:
        """Actions (B, A) or their indices (B,) for observations (B, O)."""
        output: Tensor = self.policy(self.normalize(observation))
        return output if isinstance(self.policy, Actor) else self.policy.mode(output)

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return [list(self.policy.parameters())]

    def loss(self, observation: Tensor, action: Tensor) -> Tensor:
        """(B, O), and (B, A) or (B,); errors of continuous actions are in units of half their range."""
        if isinstance(self.policy, Actor):
            return F.mse_loss(self.policy(observation) / self.policy.scale, action / self.policy.scale)
        return -self.policy.log_prob(self.policy(observation), action).mean()

    def _update(self, state: Sequence[Any], *batch: Tensor, measure: bool) -> dict[str, Tensor]:
        """One Adam step."""
        loss = self.loss(*batch)
        gradient = torch.autograd.grad(loss, state[0][0])
        self._step(state, [gradient])
        return {"loss/policy": loss.detach(), "gradient_norm/policy": gradient_norm(gradient)} if measure else {}

    def draw(self) -> None:
        pictures.draw_policy(self)


TASK = Task(module=BehaviorCloning, data=OfflineData, monitor="val/return", mode="max")
