"""Soft actor-critic: a stochastic actor climbs value plus entropy, and the entropy coefficient is learned as well.

Source: Haarnoja et al. 2018, "Soft actor-critic algorithms and applications". Deviations: all three gradients are taken
at the same parameters (so that they are one graph); the loss of the entropy coefficient is linear in its
logarithm, as in the authors' code, not in the coefficient itself; entropies are those of actions scaled to [-1, 1];
rewards may be scaled and the learning rate may fall. Truncated episodes bootstrap, terminated ones do not.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.rl.common import plots as pictures
from lab.rl.common.learner import HiddenSizes, gradient_norm
from lab.rl.common.off_policy import OffPolicy
from lab.rl.data.replay import ReplayData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec, ContinuousSpec, continuous
from lab.rl.networks.actor_critic import Critics, GaussianActor
from lab.rl.networks.exploration import StochasticExploration
from lab.rl.networks.simba import SimbaActor, SimbaCritics
from lab.task import Task, Unit


class SAC(OffPolicy):
    """Soft actor-critic with a learned entropy coefficient for continuous actions.

    Args:
        action: bounds of the action.
        lr: learning rate of Adam for the actor, the critics and the entropy coefficient.
        tau: coefficient of the soft update of the target critics.
        hidden: widths of the hidden layers of actor and critics.
        alpha_init: initial entropy coefficient, in units of scaled reward.
        target_entropy: target entropy of actions scaled to [-1, 1]; by default minus the number of action dimensions.
        reward_scale: rewards are multiplied by it for the critics.
        num_critics: number of critics.
        subset_size: the target is the smallest value of so many critics, sampled for each update, and the actor climbs
            the mean of all (REDQ); by default both take the smallest of all.
        layer_norm: normalise the hidden layers of the critics.
        dropout: share of their numbers that are dropped in training (DroQ, with `layer_norm`).
        policy_delay: updates of the critics per update of the actor and the entropy coefficient.
        network: mlp; or simba, whose `hidden` layers are residual blocks, in actor and critics.
    """

    compile_from = 50_000  # its update has more small operations than others, and is 0.15 ms faster

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
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        num_envs: int = 1,
        num_critics: Annotated[int, Gt(0)] = 2,
        subset_size: Annotated[int, Gt(0)] | None = None,
        layer_norm: bool = False,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        policy_delay: Annotated[int, Gt(0)] = 1,
        network: Literal["mlp", "simba"] = "mlp",
    ) -> None:
        super().__init__(
            env, observation_size, lr, final_lr, gamma, normalize_observations, normalize_rewards, num_envs
        )
        self.save_hyperparameters()
        bounds = continuous(action, type(self).__name__.lower())
        self.tau, self.reward_scale = tau, reward_scale
        self.target_entropy = -float(len(bounds["low"])) if target_entropy is None else target_entropy
        if subset_size is not None and subset_size > num_critics:
            raise BadSetting("subset_size", f"expected at most num_critics ({num_critics}), found {subset_size}")
        self.num_critics, self.subset_size, self.policy_delay = num_critics, subset_size, policy_delay
        if network == "simba" and (layer_norm or dropout):
            raise BadSetting("network", "simba normalises its layers by itself; leave layer_norm and dropout out")
        self.layer_norm, self.dropout, self.kind = layer_norm, dropout, network
        self.actor = self._actor(observation_size, bounds, hidden)
        self.critics = self._critics(observation_size, len(bounds["low"]), hidden)
        self._make_targets()
        self.log_alpha = nn.Parameter(torch.tensor(math.log(alpha_init)))
        self.explorer = StochasticExploration(self.actor, self.observation_norm)

    def _actor(self, observation_size: ObservationSize, bounds: ContinuousSpec, hidden: HiddenSizes) -> GaussianActor:
        kind = SimbaActor if self.kind == "simba" else GaussianActor
        return kind(observation_size, bounds, hidden)

    def _critics(self, observation_size: ObservationSize, action_size: int, hidden: HiddenSizes) -> Critics:
        if self.kind == "simba":
            return SimbaCritics(observation_size, action_size, hidden, self.num_critics)
        count, layer_norm, dropout = self.num_critics, self.layer_norm, self.dropout
        return Critics(observation_size, action_size, hidden, count, layer_norm=layer_norm, dropout=dropout)

    def _make_targets(self) -> None:
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        self.target_parameters: list[Tensor] = list(self.target_critics.parameters())

    def _update_targets(self, critics: list[Tensor]) -> None:
        """Moves the target critics towards the parameters of the critics."""
        torch._foreach_lerp_(self.target_parameters, critics, self.tau)

    def forward(self, observation: Tensor) -> Tensor:
        """Greedy action (B, A), the squashed mean, for observations (B, O)."""
        action: Tensor = self.actor(self.normalize(observation))
        return action

    def exploration_policy(self) -> TensorDictModuleBase:
        return self.explorer

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return list(self.actor.parameters()), list(self.critics.parameters()), [self.log_alpha]

    def update_inputs(self, batches: TensorDictBase) -> tuple[Tensor, ...]:
        """With standard normal noise (updates, B, A) for the action in this state and for that in the next."""
        noise = torch.randn_like(batches["action"]), torch.randn_like(batches["action"])
        inputs = (*super().update_inputs(batches), *noise)
        if self.subset_size is None:
            return inputs
        order = torch.rand(len(batches), self.num_critics, device=noise[0].device).argsort(-1)
        return (*inputs, order[:, : self.subset_size])

    def update_flags(self, number: int) -> dict[str, bool]:
        return {} if self.policy_delay == 1 else {"step_actor": (number + 1) % self.policy_delay == 0}

    def losses(
        self,
        observation: Tensor,
        action: Tensor,
        reward: Tensor,
        next_observation: Tensor,
        terminated: Tensor,
        noise: Tensor,
        next_noise: Tensor,
        subset: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Losses of actor, critics and entropy coefficient, the critics' mean value, the actor's entropy on one batch.

        (B, O), (B, A), (B, 1), (B, O), (B, 1), (B, A), (B, A).
        """
        critic_loss, value = self.critic_loss(
            observation, action, reward, next_observation, terminated, next_noise, subset
        )
        actor_loss, alpha_loss, entropy = self.actor_losses(observation, noise)
        return actor_loss, critic_loss, alpha_loss, value, entropy

    def critic_loss(
        self,
        observation: Tensor,
        action: Tensor,
        reward: Tensor,
        next_observation: Tensor,
        terminated: Tensor,
        next_noise: Tensor,
        subset: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The critics' loss and their mean value; `subset` are the critics that the target asks, by default all."""
        with torch.no_grad():
            following, log_density = self.actor.sample(next_observation, next_noise)
        values, ahead = self._judge(observation, action, next_observation, following, subset)
        with torch.no_grad():
            future = ahead - self.log_alpha.exp() * log_density
            goal = self.reward_scale * reward + self.gamma * future * ~terminated
        return self._critic_loss(values, goal), values.mean()

    def _judge(
        self, observation: Tensor, action: Tensor, next_observation: Tensor, following: Tensor, subset: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The critics' values of the actions, and the value of the next states by the target critics."""
        with torch.no_grad():
            ahead = self.target_critics(next_observation, following)
            ahead = self._next_value(ahead if subset is None else ahead[subset])
        return self.critics(observation, action), ahead

    def actor_losses(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Losses of actor and entropy coefficient, and the actor's entropy."""
        alpha = self.log_alpha.detach().exp()
        chosen, log_density = self._sample(observation, noise)
        actor_loss = (alpha * log_density - self._actor_objective(self.critics(observation, chosen))).mean()
        surplus = -log_density.detach().mean() - self.target_entropy  # too much entropy lowers its coefficient
        return actor_loss, self.log_alpha * surplus, -log_density.mean()

    def _sample(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions and their log-densities, from which the actor learns."""
        return self.actor.sample(observation, noise)

    def _next_value(self, values: Tensor) -> Tensor:
        """The value of the next state (B, 1), given what the target critics say (N, B, 1)."""
        return values.amin(0)

    def _actor_objective(self, values: Tensor) -> Tensor:
        """The objective of the actor (B, 1), given what the critics say (N, B, 1)."""
        return values.amin(0) if self.subset_size is None else values.mean(0)

    def _critic_loss(self, values: Tensor, goal: Tensor) -> Tensor:
        """Squared errors, summed over the critics (N, B, 1), against the goal (B, 1)."""
        return len(values) * F.mse_loss(values, goal.expand_as(values))

    def _update(
        self, state: Sequence[Any], *batch: Tensor, measure: bool, step_actor: bool = True
    ) -> dict[str, Tensor]:
        """One Adam step of actor, critics and entropy coefficient, then of the targets."""
        if not step_actor:
            return self._update_critics(state[1], batch, measure)
        groups = [parameters for parameters, *_ in state]
        *losses, value, entropy = self.losses(*batch)
        gradients = [torch.autograd.grad(loss, group) for loss, group in zip(losses, groups, strict=True)]
        self._step(state, gradients)
        with torch.no_grad():
            self._update_targets(groups[1])
            if not measure:
                return {}
            names = ("loss/actor", "loss/critic", "loss/alpha")
            return {name: loss.detach() for name, loss in zip(names, losses, strict=True)} | {
                "q/mean": value.detach(),
                "entropy": entropy.detach(),
                "alpha": self.log_alpha.detach().exp(),
                "gradient_norm/actor": gradient_norm(gradients[0]),
                "gradient_norm/critic": gradient_norm(gradients[1]),
            }

    def _update_critics(self, state: Any, batch: Sequence[Tensor], measure: bool) -> dict[str, Tensor]:
        """One Adam step of the critics alone, then of the targets."""
        transitions, (_, *rest) = batch[:5], batch[5:]  # the first noise is the actor's
        loss, value = self.critic_loss(*transitions, *rest)
        gradients = [torch.autograd.grad(loss, state[0])]
        self._step([state], gradients)
        with torch.no_grad():
            self._update_targets(state[0])
            if not measure:
                return {}
            measured = {"loss/critic": loss.detach(), "q/mean": value.detach()}
            return measured | {"gradient_norm/critic": gradient_norm(gradients[0])}

    def draw(self) -> None:
        pictures.draw_policy(self)
        pictures.draw_value(self, self.state_value)

    def state_value(self, observation: Tensor) -> Tensor:
        """The critics' value (B, 1) of the greedy action in states (B, O)."""
        seen = self.normalize(observation)
        return self._actor_objective(self.critics(seen, self.actor(seen)))


TASK = Task(module=SAC, data=ReplayData, monitor="val/return", mode="max")
