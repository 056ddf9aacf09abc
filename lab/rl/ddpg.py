"""Deep deterministic policy gradient (DDPG): a deterministic actor and a critic, trained from a replay buffer.

Source: Lillicrap et al. 2016, "Continuous control with deep reinforcement learning". Deviations: no batch
normalisation and no weight decay, actor and critic step on the same batch from the same parameters (so that both
gradients are one graph), Gaussian noise by default, rewards may be scaled and the learning rate may fall. Truncated
episodes bootstrap, terminated ones do not.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le
from tensordict.nn import TensorDictModuleBase
from torch import Tensor, nn
from torch.nn import functional as F

from lab.rl.common import plots as pictures
from lab.rl.common.learner import HiddenSizes, gradient_norm
from lab.rl.common.off_policy import OffPolicy
from lab.rl.data.replay import ReplayData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec, continuous
from lab.rl.networks.actor_critic import Actor, Critic
from lab.rl.networks.exploration import NOISES, Noise
from lab.task import Task, Unit


class DDPG(OffPolicy):
    """Deep deterministic policy gradient for continuous actions.

    Args:
        action: bounds of the action.
        lr: learning rate of the actor's and the critic's Adam.
        tau: coefficient of the soft update of the target networks.
        hidden: widths of the hidden layers of actor and critic.
        noise: exploration noise: `gaussian`, or `ornstein_uhlenbeck`, which is correlated over time.
        sigma: standard deviation of the noise, as a fraction of half the action's range.
        reward_scale: rewards are multiplied by it for the critic.
    """

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        lr: Annotated[float, Gt(0)] = 1e-3,
        final_lr: Unit = 1.0,
        gamma: Unit = 0.99,
        tau: Annotated[float, Gt(0), Le(1)] = 0.005,
        hidden: HiddenSizes = [400, 300],  # noqa: B006 - never changed
        noise: Noise = "gaussian",
        sigma: Annotated[float, Ge(0)] = 0.1,
        reward_scale: Annotated[float, Gt(0)] = 1.0,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        num_envs: int = 1,
    ) -> None:
        super().__init__(
            env, observation_size, lr, final_lr, gamma, normalize_observations, normalize_rewards, num_envs
        )
        self.save_hyperparameters()
        bounds = continuous(action, "ddpg")
        self.tau, self.reward_scale = tau, reward_scale
        self.actor = Actor(observation_size, bounds, hidden)
        self.critic = Critic(observation_size, len(bounds["low"]), hidden)
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.target_parameters: list[Tensor] = [*self.target_actor.parameters(), *self.target_critic.parameters()]
        self.explorer = NOISES[noise](self.actor, bounds, sigma, self.observation_norm)

    def forward(self, observation: Tensor) -> Tensor:
        """Greedy action (B, A) for observations (B, O)."""
        action: Tensor = self.actor(self.normalize(observation))
        return action

    def exploration_policy(self) -> TensorDictModuleBase:
        """The policy that collects: reads `observation`, writes `action`."""
        return self.explorer

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return list(self.actor.parameters()), list(self.critic.parameters())

    def losses(
        self, observation: Tensor, action: Tensor, reward: Tensor, next_observation: Tensor, terminated: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Critic loss, actor loss and the critic's mean value of one batch: (B, O), (B, A), (B, 1), (B, O), (B, 1)."""
        with torch.no_grad():
            future = self.target_critic(next_observation, self.target_actor(next_observation))
            goal = self.reward_scale * reward + self.gamma * future * ~terminated
        value = self.critic(observation, action)
        actor_loss = -self.critic(observation, self.actor(observation)).mean()
        return F.mse_loss(value, goal), actor_loss, value.mean()

    def _update(self, state: Sequence[Any], *batch: Tensor, measure: bool) -> dict[str, Tensor]:
        """One Adam step of actor and critic, then of the targets."""
        (actor, *_), (critic, *_) = state
        critic_loss, actor_loss, value = self.losses(*batch)
        gradients = [torch.autograd.grad(actor_loss, actor), torch.autograd.grad(critic_loss, critic)]
        self._step(state, gradients)
        with torch.no_grad():
            torch._foreach_lerp_(self.target_parameters, [*actor, *critic], self.tau)
            if not measure:
                return {}
            return {
                "loss/critic": critic_loss.detach(),
                "loss/actor": actor_loss.detach(),
                "q/mean": value.detach(),
                "gradient_norm/actor": gradient_norm(gradients[0]),
                "gradient_norm/critic": gradient_norm(gradients[1]),
            }

    def draw(self) -> None:
        pictures.draw_policy(self)
        pictures.draw_value(self, self.state_value)

    def state_value(self, observation: Tensor) -> Tensor:
        """The critic's value (B, 1) of the greedy action in states (B, O)."""
        seen = self.normalize(observation)
        value: Tensor = self.critic(seen, self.actor(seen))
        return value


TASK = Task(module=DDPG, data=ReplayData, monitor="val/return", mode="max")
