"""Implicit Q-learning (IQL): values of the better recorded actions by an expectile, and a policy cloned by advantage.

Source: Kostrikov et al. 2022, "Offline reinforcement learning with implicit Q-learning". Deviations: all gradients are
taken at the same parameters (so that they are one graph).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn
from torch.nn import functional as F

from lab.networks import MLP
from lab.rl.common import plots as pictures
from lab.rl.common.learner import HiddenSizes, gradient_norm
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec, ContinuousSpec, continuous
from lab.rl.networks.actor_critic import Critics
from lab.rl.networks.encoder import encoded
from lab.rl.networks.policies import GaussianPolicy
from lab.rl.offline.offline_agent import OfflineAgent, has_vectors
from lab.rl.offline.offline_data import OfflineData
from lab.task import Task, Unit

MAX_WEIGHT = 100.0  # of a recorded action, as in the authors' code


class SquashedMeanPolicy(GaussianPolicy):
    """A normal distribution whose mean is squashed by tanh into the action's bounds, by a network as of the critics.

    >>> policy = SquashedMeanPolicy(3, {"low": [-2.0], "high": [2.0]}, hidden=[16])
    >>> policy.mode(policy(torch.full((1, 3), 1e6))).abs() <= 1
    tensor([[True]])

    Args:
        observation_size: what an observation is; the length O of a vector.
        action: bounds of the action, A of each.
        hidden: widths of the hidden layers.
    """

    def __init__(self, observation_size: ObservationSize, action: ContinuousSpec, hidden: Sequence[int]) -> None:
        super().__init__(observation_size, action, hidden, log_std_init=0.0)
        # not the small last layer and the tanh of agents that learn from their own actions: these learn from others'
        self.net = encoded(observation_size, lambda width: MLP(width, hidden, len(action["low"])))

    def distribution(self, output: Tensor) -> Tensor:
        return super().distribution(torch.tanh(output))


class IQL(OfflineAgent):
    """Implicit Q-learning for continuous actions.

    Args:
        observation_size: what an observation is; the length of a vector.
        action: bounds of the action.
        lr: learning rate of Adam for the policy, the critics and the value.
        gamma: discount of the return per step.
        tau: coefficient of the soft update of the target critics.
        hidden: widths of the hidden layers of all networks.
        expectile: of the critics' values that the value network learns; 0.5 is their mean, 1 their maximum.
        temperature: inverse temperature of the policy's weights, exp(`temperature` * advantage).
        reward_scale: rewards are multiplied by it for the critics.
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
        expectile: Annotated[float, Ge(0.5), Lt(1)] = 0.7,
        temperature: Annotated[float, Ge(0)] = 3.0,
        reward_scale: Annotated[float, Gt(0)] = 1.0,
        normalize_observations: bool = True,
    ) -> None:
        normalized = normalize_observations and has_vectors(observation_size)
        super().__init__(env, observation_size, lr, final_lr, gamma, normalized, False, 1)
        self.save_hyperparameters()
        bounds = continuous(action, "iql", "use task=cql")
        self.tau, self.reward_scale = tau, reward_scale
        self.expectile, self.temperature = expectile, temperature
        self.actor = SquashedMeanPolicy(observation_size, bounds, hidden)
        self.critics = Critics(observation_size, len(bounds["low"]), hidden, num_critics=2)
        self.value = encoded(observation_size, lambda width: MLP(width, hidden, 1))
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        self.target_parameters: list[Tensor] = list(self.target_critics.parameters())

    def forward(self, observation: Tensor) -> Tensor:
        """Greedy action (B, A), the mean, for observations (B, O)."""
        return self.actor.env_action(self.actor.mode(self.actor(self.normalize(observation))))

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return list(self.actor.parameters()), list(self.critics.parameters()), list(self.value.parameters())

    def losses(
        self, observation: Tensor, action: Tensor, reward: Tensor, next_observation: Tensor, terminated: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Losses of policy, critics and value, and the mean value: (B, O), (B, A), (B, 1), (B, O), (B, 1)."""
        value = self.value(observation)
        with torch.no_grad():
            goal = self.reward_scale * reward + self.gamma * self.value(next_observation) * ~terminated
            target = self.target_critics(observation, action).amin(0)
            weight = (self.temperature * (target - value)).exp().clamp(max=MAX_WEIGHT)
        error = target - value
        value_loss = (torch.where(error < 0, 1 - self.expectile, self.expectile) * error.square()).mean()
        critic_loss = 2 * F.mse_loss(values := self.critics(observation, action), goal.expand_as(values))
        own = (action - self.actor.center) / self.actor.scale  # in the policy's units
        log_prob = self.actor.log_prob(self.actor(observation), own).unsqueeze(-1)
        return -(weight * log_prob).mean(), critic_loss, value_loss, value.mean()

    def _update(self, state: Sequence[Any], *batch: Tensor, measure: bool) -> dict[str, Tensor]:
        """One Adam step of policy, critics and value, then of the target critics."""
        *losses, value = self.losses(*batch)
        gradients = [torch.autograd.grad(loss, group[0]) for loss, group in zip(losses, state, strict=True)]
        self._step(state, gradients)
        with torch.no_grad():
            torch._foreach_lerp_(self.target_parameters, list(state[1][0]), self.tau)
        if not measure:
            return {}
        names = ("actor", "critic", "value")
        return {
            **{f"loss/{name}": loss.detach() for name, loss in zip(names, losses, strict=True)},
            **{f"gradient_norm/{name}": gradient_norm(each) for name, each in zip(names, gradients, strict=True)},
            "value/mean": value.detach(),
        }

    def draw(self) -> None:
        pictures.draw_policy(self)
        pictures.draw_value(self, lambda observation: self.value(self.normalize(observation)))


TASK = Task(module=IQL, data=OfflineData, monitor="val/return", mode="max")
