"""Advantage actor-critic: one gradient step on every short rollout, from the policy that played it.

Source: Mnih et al. 2016, "Asynchronous methods for deep reinforcement learning" (A3C), made synchronous: environments
are stepped together, so there is one gradient where there were many late ones. Deviations: Adam instead of RMSprop, as
everywhere here; advantages may be mixed over all horizons (`gae_lambda` below 1; at 1 they are the paper's); policy and
critic share no layer. Truncated episodes bootstrap, terminated ones do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn import functional as F

from lab.rl.common.learner import HiddenSizes
from lab.rl.common.on_policy import OnPolicy
from lab.rl.data.rollout import RolloutData
from lab.rl.envs.spaces import ActionSpec
from lab.task import Task, Unit


class A2C(OnPolicy):
    """Advantage actor-critic for continuous and discrete actions.

    Args:
        env: name of the Gymnasium environment, in which the agent is evaluated.
        observation_size: length of an observation.
        action: bounds of the action, or how many there are.
        num_envs: environments in a rollout.
        lr: learning rate of Adam.
        final_lr: learning rate at the end of the run, reached linearly, as a fraction of `lr`.
        gamma: discount of the return per step.
        gae_lambda: how far an advantage trusts rewards (1) rather than values (0).
        entropy_coef: weight of the policy's entropy, which keeps it from settling too early.
        value_coef: weight of the critic's squared error.
        max_grad_norm: the gradient is clipped to this norm.
        hidden: widths of the hidden layers of policy and critic.
        log_std_init: logarithm of the initial standard deviation of continuous actions, in halves of their range.
        normalize_observations: whether observations are shifted and scaled to mean 0 and variance 1.
        normalize_rewards: whether rewards are divided by the standard deviation of the running return.
    """

    def __init__(
        self,
        env: str,
        observation_size: int,
        action: ActionSpec,
        num_envs: int,
        lr: Annotated[float, Gt(0)] = 7e-4,
        final_lr: Unit = 0.0,
        gamma: Unit = 0.99,
        gae_lambda: Unit = 1.0,
        entropy_coef: Annotated[float, Ge(0)] = 0.0,
        value_coef: Annotated[float, Ge(0)] = 0.5,
        max_grad_norm: Annotated[float, Gt(0)] = 0.5,
        hidden: HiddenSizes = [64, 64],  # noqa: B006 - never changed
        log_std_init: float = 0.0,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
    ) -> None:
        super().__init__(
            env, observation_size, action, num_envs, lr, final_lr, gamma, gae_lambda, hidden, log_std_init,
            normalize_observations, normalize_rewards,
        )  # fmt: skip
        self.save_hyperparameters()
        self.entropy_coef, self.value_coef, self.max_grad_norm = entropy_coef, value_coef, max_grad_norm

    def losses(
        self, observation: Tensor, action: Tensor, advantage: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The policy's loss, the critic's and the entropy: (M, O), (M, A) or (M,) of discrete ones, (M,), (M,)."""
        parameters = self.policy(observation)
        policy = -(self.policy.log_prob(parameters, action) * advantage).mean()
        return policy, F.mse_loss(self.value(observation), target), self.policy.entropy(parameters).mean()

    def _update(self, state: Sequence[Any], *experience: Tensor) -> dict[str, Tensor]:
        observation, action, _, advantage, target = experience
        policy, value, entropy = self.losses(observation, action, advantage, target)
        loss = policy + self.value_coef * value - self.entropy_coef * entropy
        norm = self.gradient_step(loss, state[0], self.max_grad_norm)
        measured = {"loss/policy": policy, "loss/value": value, "policy/entropy": entropy, "gradient_norm/all": norm}
        return {name: each.detach() for name, each in measured.items()}


TASK = Task(module=A2C, data=RolloutData, monitor="val/return", mode="max")
