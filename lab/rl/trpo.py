"""Trust region policy optimisation: the largest step up that keeps the new policy within a divergence of the old one.

Source: Schulman et al. 2015, "Trust region policy optimization". The direction is the natural gradient, found by
conjugate gradients from products with the Fisher matrix; its length is what a quadratic model of the divergence allows;
a line search shortens it until the true divergence and the true gain agree. Deviations: advantages come from a critic
(generalised advantage estimation) that steps by Adam, and are normalised over the rollout. Truncated episodes
bootstrap, terminated ones do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Gt, Lt
from torch import Tensor, nn

from lab.rl.common.advantage import normalized
from lab.rl.common.learner import HiddenSizes
from lab.rl.common.on_policy import Experience, OnPolicy
from lab.rl.data.rollout import RolloutData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec
from lab.task import Task, Unit


class TRPO(OnPolicy):
    """Trust region policy optimisation for continuous and discrete actions.

    Args:
        lr: learning rate of the critic's Adam.
        target_kl: bound of the KL divergence of one policy step.
        cg_damping: damping added to the Fisher matrix.
        cg_max_steps: maximum number of conjugate-gradient steps.
        line_search_max_iter: maximum number of line-search steps.
        line_search_shrinking_factor: factor between two step lengths of the line search.
        critic_updates: passes of the critic over each rollout.
        batch_size: batch size of the critic's updates; null uses the whole rollout.
    """

    uncompiled_because = "trpo cannot be compiled because of its line search; leave it out"
    averages_gradients = False  # conjugate gradients and the line search are those of one process

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        num_envs: int,
        lr: Annotated[float, Gt(0)] = 1e-3,
        final_lr: Unit = 1.0,
        gamma: Unit = 0.99,
        gae_lambda: Unit = 0.95,
        target_kl: Annotated[float, Gt(0)] = 0.01,
        cg_damping: Annotated[float, Gt(0)] = 0.1,
        cg_max_steps: Annotated[int, Gt(0)] = 15,
        line_search_max_iter: Annotated[int, Gt(0)] = 10,
        line_search_shrinking_factor: Annotated[float, Gt(0), Lt(1)] = 0.8,
        critic_updates: Annotated[int, Gt(0)] = 10,
        batch_size: Annotated[int, Gt(0)] | None = 128,
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
        self.target_kl, self.cg_damping, self.cg_max_steps = target_kl, cg_damping, cg_max_steps
        self.line_search_max_iter = line_search_max_iter
        self.line_search_shrinking_factor = line_search_shrinking_factor
        self.critic_updates, self.batch_size = critic_updates, batch_size

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return [list(self.critic.parameters())]

    def _update(self, state: Sequence[Any], *experience: Tensor) -> dict[str, Tensor]:
        """One step of the policy, then those of the critic."""
        observation, action, advantage, _ = experience
        advantage = normalized(advantage)
        weights = list(self.policy.parameters())
        with torch.no_grad():
            old = self.policy(observation)
            log_prob = self.policy.log_prob(old, action)

        def surrogate() -> tuple[Tensor, Tensor]:
            """The surrogate objective of the policy, and its KL divergence from the old one."""
            parameters = self.policy(observation)
            ratio = (self.policy.log_prob(parameters, action) - log_prob).exp()
            return (ratio * advantage).mean(), self.policy.kl_divergence(old, parameters).mean()

        gain, divergence = surrogate()
        gradient = flat(torch.autograd.grad(gain, weights, retain_graph=True))  # (W,) of all weights
        slope = flat(torch.autograd.grad(divergence, weights, create_graph=True))

        def fisher(vector: Tensor) -> Tensor:
            return flat(torch.autograd.grad(slope @ vector, weights, retain_graph=True)) + self.cg_damping * vector

        direction = conjugate_gradients(fisher, gradient, self.cg_max_steps)
        curvature = (direction @ fisher(direction)).clamp(min=1e-12)
        step = (2 * self.target_kl / curvature).sqrt() * direction
        began, measured = [weight.detach().clone() for weight in weights], {}
        with torch.no_grad():
            for trial in range(self.line_search_max_iter):
                place(weights, began, self.line_search_shrinking_factor**trial * step)
                improved, divergence = surrogate()
                if improved > gain and divergence <= self.target_kl:
                    break
            else:
                place(weights, began, torch.zeros_like(step))  # no length was good: stay
                improved, divergence = surrogate()
            entropy = self.policy.entropy(self.policy(observation)).mean()
            measured = {"policy/gain": improved - gain, "policy/kl": divergence, "policy/entropy": entropy}
        measured["gradient_norm/policy"] = gradient.norm()
        measured["loss/value"] = self.fit_critic(
            Experience(*experience), state[0], self.critic_updates, self.batch_size
        )
        return {name: value.detach() for name, value in measured.items()}


def conjugate_gradients(product: Callable[[Tensor], Tensor], goal: Tensor, steps: int) -> Tensor:
    """x (W,) with `product(x)` close to `goal`, `product` being that with a positive definite matrix.

    Source: Hestenes & Stiefel 1952, "Methods of conjugate gradients for solving linear systems".
    """
    found, residual, direction = torch.zeros_like(goal), goal.clone(), goal.clone()
    square = residual @ residual
    for _ in range(steps):
        if square < 1e-10:
            break
        image = product(direction)
        length = square / (direction @ image)
        found += length * direction
        residual -= length * image
        before, square = square, residual @ residual
        direction = residual + square / before * direction
    return found


def flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def place(weights: Sequence[Tensor], began: Sequence[Tensor], step: Tensor) -> None:
    """Sets `weights` to where they `began`, plus `step` (W,)."""
    parts = step.split([weight.numel() for weight in weights])
    for weight, start, part in zip(weights, began, parts, strict=True):
        weight.copy_(start + part.view_as(weight))


TASK = Task(module=TRPO, data=RolloutData, monitor="val/return", mode="max")
