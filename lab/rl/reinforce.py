"""REINFORCE: what led to a good return is made likelier, once per batch of episodes.

Source: Williams 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement learning", with
the return from each step on instead of the whole one, which has the same mean and less noise (Sutton et al. 2000). With
`baseline` a critic learns the expected return, which is taken off. Deviations: late steps are not discounted once more,
without which an agent would not learn to end well; Adam; what weighs the steps may be normalised over the batch.

A rollout has a fixed size, so an episode may be under way where it ends. With a baseline it is worth what the critic
says from there on, and so is one that ran out of time. Without one nobody can say: steps of an episode that is under
way do not count, and one that ran out of time is taken for complete. `data.reset_each_rollout`, with as many steps
as an episode may have, keeps at least one whole episode per environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt
from tensordict import TensorDictBase
from torch import Tensor, nn

from lab.rl.common import plots as pictures
from lab.rl.common.advantage import normalized
from lab.rl.common.learner import HiddenSizes
from lab.rl.common.on_policy import Experience, OnPolicy
from lab.rl.data.rollout import RolloutData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec
from lab.task import Task, Unit


class REINFORCE(OnPolicy):
    """The plain policy gradient for continuous and discrete actions, with or without a learned baseline.

    Args:
        baseline: subtract a learned baseline, the critic's value, from the return.
        critic_updates: updates of the critic per rollout.
        normalize_returns: normalise the returns (minus the baseline) of a rollout to mean 0 and variance 1.
        entropy_coef: weight of the entropy bonus in the loss.
        max_grad_norm: maximum gradient norm.
    """

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        num_envs: int,
        lr: Annotated[float, Gt(0)] = 1e-2,
        final_lr: Unit = 0.0,
        gamma: Unit = 0.99,
        baseline: bool = True,
        critic_updates: Annotated[int, Gt(0)] = 10,
        normalize_returns: bool = True,
        entropy_coef: Annotated[float, Ge(0)] = 0.0,
        max_grad_norm: Annotated[float, Gt(0)] = 0.5,
        hidden: HiddenSizes = [64, 64],  # noqa: B006 - never changed
        log_std_init: float = 0.0,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
    ) -> None:
        super().__init__(
            env, observation_size, action, num_envs, lr, final_lr, gamma, 1.0, hidden, log_std_init,
            normalize_observations, normalize_rewards,
        )  # fmt: skip
        self.save_hyperparameters()
        self.baseline, self.critic_updates, self.normalize_returns = baseline, critic_updates, normalize_returns
        self.entropy_coef, self.max_grad_norm = entropy_coef, max_grad_norm
        if not baseline:
            self.critic = nn.Identity()

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return [list(self.policy.parameters())] + [list(self.critic.parameters())] * self.baseline

    def value(self, observation: Tensor) -> Tensor:
        return super().value(observation) if self.baseline else torch.zeros_like(observation[..., 0])

    @torch.no_grad()
    def experience(self, steps: TensorDictBase) -> Experience:
        """With lambda = 1 an advantage is the return from a step on, less the baseline."""
        found = super().experience(steps)
        advantage, counts = found.advantage, torch.ones_like(found.advantage, dtype=torch.bool)
        if not self.baseline:  # a step counts if its episode ends at it or later in the rollout
            ends = steps["next", "done"].flip(0).cumsum(0).flip(0)
            counts = (ends > 0).flatten()
        if self.normalize_returns:
            advantage = normalized(advantage, advantage[counts])
        share = counts.float().mean().clamp(min=1 / len(counts))  # so that a mean is one over steps that count
        return found._replace(advantage=torch.where(counts, advantage / share, 0.0))

    def learn(self, experience: Experience, state: Sequence[Any]) -> dict[str, Tensor]:
        """One step of the policy, then the critic's, so that it has not seen what it is the baseline of."""
        measured = super().learn(experience, state)
        if self.baseline:
            measured["loss/value"] = self.fit_critic(experience, state[1], self.critic_updates)
        return measured

    def loss(self, observation: Tensor, action: Tensor, advantage: Tensor) -> tuple[Tensor, Tensor]:
        """The policy's loss and its entropy: (M, O), (M, A) or (M,) of discrete ones, (M,)."""
        parameters = self.policy(observation)
        loss = -(self.policy.log_prob(parameters, action) * advantage).mean()
        return loss, self.mean_entropy(parameters)

    def _update(self, state: Sequence[Any], *experience: Tensor) -> dict[str, Tensor]:
        observation, action, advantage, _ = experience
        loss, entropy = self.loss(observation, action, advantage)
        norm = self.gradient_step(loss - self.entropy_coef * entropy, state[0], self.max_grad_norm)
        return {"loss/policy": loss.detach(), "policy/entropy": entropy.detach(), "gradient_norm/policy": norm}

    def draw(self) -> None:
        if self.baseline:
            super().draw()
        else:
            pictures.draw_policy(self)


TASK = Task(module=REINFORCE, data=RolloutData, monitor="val/return", mode="max")
