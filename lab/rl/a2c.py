"""Advantage actor-critic (A2C): one gradient step on every short rollout.

Source: Mnih et al. 2016, "Asynchronous methods for deep reinforcement learning" (A3C), made synchronous: environments
are stepped together, so there is one gradient where there were many late ones. Deviations: Adam instead of RMSprop, as
everywhere here; advantages may be mixed over all horizons (`gae_lambda` below 1; at 1 they are the paper's); policy and
critic share no layer but those of the encoder of images. Truncated episodes bootstrap, terminated ones do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le
from torch import Tensor
from torch.nn import functional as F

from lab.errors import LabError
from lab.rl.common.learner import HiddenSizes
from lab.rl.common.on_policy import OnPolicy
from lab.rl.data.rollout import RolloutData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec
from lab.task import Task, Unit


class A2C(OnPolicy):
    """Advantage actor-critic for continuous and discrete actions.

    Args:
        entropy_coef: weight of the entropy bonus in the loss.
        value_coef: weight of the critic's loss.
        max_grad_norm: maximum gradient norm.
        log_std_init: logarithm of the initial standard deviation of continuous actions.
        scale_actions: scale continuous actions with bounds to [-1, 1]; by default they are the environment's own.
        share_features_extractor: one encoder of images for policy and critic, not one for each.
        features_dim: neurons of a dense layer with ReLU behind the convolutions of images; None for none.
    """

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        num_envs: int,
        lr: Annotated[float, Gt(0)] = 7e-4,
        final_lr: Unit = 1.0,
        gamma: Unit = 0.99,
        gae_lambda: Unit = 1.0,
        entropy_coef: Annotated[float, Ge(0)] = 0.0,
        value_coef: Annotated[float, Ge(0)] = 0.5,
        max_grad_norm: Annotated[float, Gt(0)] = 0.5,
        hidden: HiddenSizes = [64, 64],  # noqa: B006 - never changed
        log_std_init: float = 0.0,
        scale_actions: bool = False,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        share_features_extractor: bool = True,
        features_dim: Annotated[int, Gt(0)] | None = 512,
    ) -> None:
        super().__init__(
            env, observation_size, action, num_envs, lr, final_lr, gamma, gae_lambda, hidden, log_std_init,
            normalize_observations, normalize_rewards, scale_actions, share_features_extractor, features_dim,
        )  # fmt: skip
        self.save_hyperparameters()
        self.entropy_coef, self.value_coef, self.max_grad_norm = entropy_coef, value_coef, max_grad_norm

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses weights that act in another unit.

        Raises:
            LabError: with the setting that they need.
        """
        super().on_load_checkpoint(checkpoint)
        scaled = checkpoint["hyper_parameters"].get("scale_actions", True)  # before there was a choice, all were
        if scaled != self.hparams["scale_actions"] and self.policy.has_range:
            how = "scaled to [-1, 1]" if scaled else "those of the environment"
            raise LabError(f"the actions of the checkpoint are {how}; add model.scale_actions={str(scaled).lower()}")

    def losses(
        self, observation: Tensor, action: Tensor, advantage: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The policy's loss, the critic's and the entropy: (M, O), (M, A) or (M,) of discrete ones, (M,), (M,)."""
        parameters, value = self.policy_and_value(observation)
        policy = -(self.policy.log_prob(parameters, action) * advantage).mean()
        return policy, F.mse_loss(value, target), self.mean_entropy(parameters)

    def _update(self, state: Sequence[Any], *experience: Tensor) -> dict[str, Tensor]:
        observation, action, advantage, target = experience
        policy, value, entropy = self.losses(observation, action, advantage, target)
        loss = policy + self.value_coef * value - self.entropy_coef * entropy
        norm = self.gradient_step(loss, state[0], self.max_grad_norm)
        measured = {"loss/policy": policy, "loss/value": value, "policy/entropy": entropy, "gradient_norm/all": norm}
        return {name: each.detach() for name, each in measured.items()}


class A2CRolloutData(RolloutData):
    """Rollouts of five steps of one environment by default, each of which is one gradient step."""

    batch_steps = 256

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        num_envs: Annotated[int, Ge(1), Le(1024)] = 1,
        num_steps: Annotated[int, Gt(0)] = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(env, total_steps, num_envs=num_envs, num_steps=num_steps, **kwargs)


TASK = Task(module=A2C, data=A2CRolloutData, monitor="val/return", mode="max")
