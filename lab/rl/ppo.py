"""Proximal policy optimisation: several passes over each rollout, kept close to the policy that acted.

Source: Schulman et al. 2017, "Proximal policy optimization algorithms", both objectives: the clipped ratio, and the
penalty on the Kullback-Leibler divergence whose weight adapts. Deviations: policy and critic share no layer but those
of the encoder of images, so that for vectors the weight of the value loss matters only to the common shortening of the
gradient; the weight of the penalty follows the mean divergence of the last pass, as in RLlib, and not one that another
pass over the rollout would measure; advantages are normalised in every minibatch and gradients are shortened, as in
Schulman's code; the policy's log-spread is a parameter and the clipped range does not fall. Truncated episodes
bootstrap, terminated ones do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.rl.common.advantage import normalized
from lab.rl.common.learner import HiddenSizes
from lab.rl.common.on_policy import Experience, OnPolicy
from lab.rl.common.processes import mean_over_processes
from lab.rl.data.rollout import RolloutData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec
from lab.task import Task, Unit


class PPO(OnPolicy):
    """Proximal policy optimisation for continuous and discrete actions.

    Args:
        num_steps: steps of each environment in a rollout.
        update_epochs: passes over each rollout.
        batch_size: steps per update.
        objective: `clip` (clipped probability ratio) or `kl` (adaptive KL penalty).
        clip_range: clipping range of the probability ratio, for `clip`.
        target_kl: target KL divergence after the updates on a rollout, for `kl`.
        entropy_coef: weight of the entropy bonus in the loss.
        value_coef: weight of the critic's loss.
        max_grad_norm: maximum gradient norm.
        normalize_advantages: normalise advantages in every minibatch.
        share_features_extractor: one encoder of images for policy and critic, not one for each.
        features_dim: neurons of a dense layer with ReLU behind the convolutions of images; None for none.
    """

    beta: Tensor

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        num_envs: int,
        num_steps: int,
        lr: Annotated[float, Gt(0)] = 3e-4,
        final_lr: Unit = 1.0,
        gamma: Unit = 0.99,
        gae_lambda: Unit = 0.95,
        update_epochs: Annotated[int, Gt(0)] = 10,
        batch_size: Annotated[int, Ge(2)] = 64,
        objective: Literal["clip", "kl"] = "clip",
        clip_range: Annotated[float, Gt(0), Le(1)] = 0.2,
        target_kl: Annotated[float, Gt(0)] = 0.01,
        entropy_coef: Annotated[float, Ge(0)] = 0.0,
        value_coef: Annotated[float, Ge(0)] = 0.5,
        max_grad_norm: Annotated[float, Gt(0)] = 0.5,
        hidden: HiddenSizes = [64, 64],  # noqa: B006 - never changed
        log_std_init: float = 0.0,
        normalize_observations: bool = False,
        normalize_advantages: bool = True,
        normalize_rewards: bool = False,
        share_features_extractor: bool = True,
        features_dim: Annotated[int, Gt(0)] | None = 512,
    ) -> None:
        super().__init__(
            env, observation_size, action, num_envs, lr, final_lr, gamma, gae_lambda, hidden, log_std_init,
            normalize_observations, normalize_rewards, share_features_extractor=share_features_extractor,
            features_dim=features_dim,
        )  # fmt: skip
        self.save_hyperparameters()
        rollout = num_envs * num_steps
        if batch_size > rollout:
            raise BadSetting(
                "batch_size",
                f"{batch_size} is larger than a rollout of {num_envs} environments times {num_steps} steps",
            )
        if rollout % batch_size:
            raise BadSetting("batch_size", f"{batch_size} does not divide a rollout of {rollout} steps")
        self.update_epochs, self.batch_size, self.objective, self.clip_range = (
            update_epochs,
            batch_size,
            objective,
            clip_range,
        )
        self.target_kl, self.entropy_coef, self.value_coef, self.max_grad_norm = (
            target_kl,
            entropy_coef,
            value_coef,
            max_grad_norm,
        )
        self.normalize_advantages = normalize_advantages
        self.register_buffer("beta", torch.tensor(1.0))  # weight of the penalty, which forgets where it began

    def value_and_old(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        parameters, value = self.policy_and_value(observation)
        return value, parameters

    def learn(self, experience: Experience, state: Sequence[Any]) -> dict[str, Tensor]:
        """`update_epochs` passes in minibatches, each pass in an order of its own; logged is the mean of the last."""
        *columns, old = experience
        assert old is not None
        with torch.no_grad():
            log_prob = self.policy.log_prob(old, experience.action)
        count = max(1, len(log_prob) // self.batch_size)  # which divides a rollout, but not what is left of one
        for _ in range(self.update_epochs):
            order = torch.randperm(len(log_prob), device=log_prob.device)
            batches = [column[order].tensor_split(count) for column in (*columns, old, log_prob)]
            measured_each = [self.update(state, *batch) for batch in zip(*batches, strict=True)]
        return self.measured(measured_each, experience.action[order], old[order], log_prob[order])

    @torch.no_grad()
    def measured(
        self, last_pass: Sequence[dict[str, Tensor]], action: Tensor, old: Tensor, log_prob: Tensor
    ) -> dict[str, Tensor]:
        """What is logged of a rollout's updates, as means over the last pass; the weight of the penalty follows.

        The divergence is that of the parameters which the policy had for its minibatches, so that nothing passes
        through the networks again.

        Args:
            last_pass: what its updates returned.
            action: (M, A), or (M,) of discrete ones, in the order of the pass.
            old: (M, P), parameters of the policy that acted.
            log_prob: (M,), of `action` under the policy that acted.
        """
        self.updates += self.update_epochs * len(last_pass)
        parameters = torch.cat([each.pop("parameters") for each in last_pass])
        ratio = (self.policy.log_prob(parameters, action) - log_prob).exp()
        found = {name: torch.stack([each[name] for each in last_pass]).mean() for name in last_pass[0]}
        found |= {
            "policy/kl": self.policy.kl_divergence(old, parameters).mean(),
            "policy/clip_fraction": ((ratio - 1).abs() > self.clip_range).float().mean(),
            "policy/entropy": self.policy.entropy(parameters).mean(),
        }
        if self.objective == "kl":
            self.adapt(mean_over_processes(found["policy/kl"]))
            found["policy/beta"] = self.beta.clone()
        return found

    def updates_per_rollout(self, steps: int) -> int:
        return self.update_epochs * (steps // self.batch_size)

    def adapt(self, divergence: Tensor) -> None:
        """The penalty doubles where the policy moved too far in the last pass, and halves where it hardly moved."""
        self.beta *= 2.0 if divergence > 1.5 * self.target_kl else 0.5 if divergence < self.target_kl / 1.5 else 1.0

    def losses(
        self,
        parameters: Tensor,
        value: Tensor,
        action: Tensor,
        advantage: Tensor,
        target: Tensor,
        old: Tensor,
        log_prob: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The policy's loss, the critic's and the entropy of one minibatch.

        Args:
            parameters: (B, P), what the policy says of the observations.
            value: (B,), what the critic says of them.
            action: (B, A), or (B,) of discrete ones.
            advantage: (B,)
            target: (B,)
            old: (B, P), parameters of the policy that acted.
            log_prob: (B,), of `action` under the policy that acted.
        """
        if self.normalize_advantages:
            advantage = normalized(advantage)
        ratio = (self.policy.log_prob(parameters, action) - log_prob).exp()
        if self.objective == "clip":
            clipped = ratio.clamp(1 - self.clip_range, 1 + self.clip_range)
            gain = torch.minimum(ratio * advantage, clipped * advantage)
        else:
            gain = ratio * advantage - self.beta * self.policy.kl_divergence(old, parameters)
        return -gain.mean(), F.mse_loss(value, target), self.mean_entropy(parameters)

    def _update(self, state: Sequence[Any], *experience: Tensor) -> dict[str, Tensor]:
        observation, *rest = experience
        return self._descend(state, *self.policy_and_value(observation), *rest)

    def _descend(self, state: Sequence[Any], parameters: Tensor, value: Tensor, *rest: Tensor) -> dict[str, Tensor]:
        """A step down the gradient of the `losses` of a minibatch."""
        policy_loss, value_loss, entropy = self.losses(parameters, value, *rest)
        loss = policy_loss + self.value_coef * value_loss - self.entropy_coef * entropy
        norm = self.gradient_step(loss, state[0], self.max_grad_norm)
        measured = {"loss/policy": policy_loss, "loss/value": value_loss, "parameters": parameters}
        return {name: each.detach() for name, each in measured.items()} | {"gradient_norm/all": norm}


TASK = Task(module=PPO, data=RolloutData, monitor="val/return", mode="max")
