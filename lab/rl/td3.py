"""Twin delayed DDPG: the smaller of two critics, smoothed targets, and an actor that waits for the critics.

Source: Fujimoto et al. 2018, "Addressing function approximation error in actor-critic methods". Deviations: where the
actor steps, both gradients are taken at the same parameters (so that they are one graph); noises are fractions of half
the action's range, whatever its unit; rewards may be scaled and the learning rate may fall. Truncated episodes
bootstrap, terminated ones do not.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torch import Tensor, nn
from torch.nn import functional as F

from lab.rl.common import plots as pictures
from lab.rl.common.learner import HiddenSizes, gradient_norm
from lab.rl.common.off_policy import OffPolicy
from lab.rl.data.replay import ReplayData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec, continuous
from lab.rl.networks.actor_critic import Actor, Critics
from lab.rl.networks.exploration import NOISES, Noise
from lab.task import Task, Unit


class TD3(OffPolicy):
    """Twin delayed deep deterministic policy gradient for continuous actions.

    Args:
        action: bounds of the action.
        lr: learning rate of the actor's and the critics' Adam.
        tau: coefficient of the soft update of the target networks, at each update of the actor.
        hidden: widths of the hidden layers of actor and critics.
        noise: exploration noise: `gaussian`, or `ornstein_uhlenbeck`, which is correlated over time.
        sigma: standard deviation of the exploration noise, as a fraction of half the action's range.
        target_policy_noise: standard deviation of the noise on the target's action, as a fraction of half the range.
        target_noise_clip: clipping limit of that noise, as a fraction of half the range.
        policy_delay: updates of the critics per update of the actor and the target networks.
        reward_scale: rewards are multiplied by it for the critics.
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
        target_policy_noise: Annotated[float, Ge(0)] = 0.2,
        target_noise_clip: Annotated[float, Ge(0)] = 0.5,
        policy_delay: Annotated[int, Gt(0)] = 2,
        reward_scale: Annotated[float, Gt(0)] = 1.0,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        num_envs: int = 1,
    ) -> None:
        super().__init__(
            env, observation_size, lr, final_lr, gamma, normalize_observations, normalize_rewards, num_envs
        )
        self.save_hyperparameters()
        bounds = continuous(action, "td3")
        self.tau, self.policy_delay, self.reward_scale = tau, policy_delay, reward_scale
        self.target_policy_noise, self.target_noise_clip = target_policy_noise, target_noise_clip
        self.actor = Actor(observation_size, bounds, hidden)
        self.critics = Critics(observation_size, len(bounds["low"]), hidden, num_critics=2)
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        self.target_parameters: list[Tensor] = [*self.target_actor.parameters(), *self.target_critics.parameters()]
        self.explorer = NOISES[noise](self.actor, bounds, sigma, self.observation_norm)

    def forward(self, observation: Tensor) -> Tensor:
        """Greedy action (B, A) for observations (B, O)."""
        action: Tensor = self.actor(self.normalize(observation))
        return action

    def exploration_policy(self) -> TensorDictModuleBase:
        return self.explorer

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return list(self.actor.parameters()), list(self.critics.parameters())

    def update_inputs(self, batches: TensorDictBase) -> tuple[Tensor, ...]:
        """With the noise (updates, B, A) of the target's action."""
        noise = self.target_policy_noise * torch.randn_like(batches["action"])
        limit = self.target_noise_clip
        return (*super().update_inputs(batches), self.actor.scale * noise.clamp(-limit, limit))

    def update_flags(self, number: int) -> dict[str, bool]:
        return {"step_actor": (number + 1) % self.policy_delay == 0}

    def critic_loss(
        self,
        observation: Tensor,
        action: Tensor,
        reward: Tensor,
        next_observation: Tensor,
        terminated: Tensor,
        noise: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Both critics' loss and their mean value: (B, O), (B, A), (B, 1), (B, O), (B, 1), (B, A)."""
        with torch.no_grad():
            following = torch.clamp(self.target_actor(next_observation) + noise, self.explorer.low, self.explorer.high)
            future = self.target_critics(next_observation, following).amin(0)  # (B, 1)
            goal = self.reward_scale * reward + self.gamma * future * ~terminated
        values = self.critics(observation, action)  # (2, B, 1)
        return 2 * F.mse_loss(values, goal.expand_as(values)), values.mean()

    def actor_loss(self, observation: Tensor, action: Tensor) -> Tensor:  # noqa: ARG002 - for subclasses
        """The actor climbs the first critic: (B, O), (B, A)."""
        values: Tensor = self.critics(observation, self.actor(observation))
        return -values[0].mean()

    def _update(
        self, state: Sequence[Any], *batch: Tensor, measure: bool, step_actor: bool = True
    ) -> dict[str, Tensor]:
        """One Adam step of the critics and, every `policy_delay` updates, of the actor; then the targets follow."""
        (actor, *_), (critics, *_) = state
        loss, value = self.critic_loss(*batch)
        gradients = [torch.autograd.grad(loss, critics)]
        measured = {}
        if measure:
            measured = {
                "loss/critic": loss.detach(),
                "q/mean": value.detach(),
                "gradient_norm/critic": gradient_norm(gradients[0]),
            }
        if step_actor:
            loss = self.actor_loss(*batch[:2])
            gradients.insert(0, torch.autograd.grad(loss, actor))
            if measure:
                measured |= {"loss/actor": loss.detach(), "gradient_norm/actor": gradient_norm(gradients[0])}
        self._step(state[-len(gradients) :], gradients)
        if step_actor:
            with torch.no_grad():
                torch._foreach_lerp_(self.target_parameters, [*actor, *critics], self.tau)
        return measured

    def draw(self) -> None:
        pictures.draw_policy(self)
        pictures.draw_value(self, self.state_value)

    def state_value(self, observation: Tensor) -> Tensor:
        """The first critic's value (B, 1) of the greedy action in states (B, O)."""
        seen = self.normalize(observation)
        value: Tensor = self.critics(seen, self.actor(seen))[0]
        return value


TASK = Task(module=TD3, data=ReplayData, monitor="val/return", mode="max")
