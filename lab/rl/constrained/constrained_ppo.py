"""Proximal policy optimisation within a cost limit, whose price is learnt: a Lagrange multiplier.

Source: Tessler, Mankowitz & Mannor 2019, "Reward constrained policy optimization", over PPO: the reward minus the
multiplier times the cost is learnt by one critic, and the multiplier rises while the cost is above its limit and falls
while it is below. Deviations: the constraint is on the mean cost per step of a rollout, without discount; the
multiplier's logarithm is learnt, from the cost in units of its limit, so that its learning rate has no unit; rewards
and costs are divided by 1 + multiplier, so that a large one does not lengthen the gradient (Stooke et al. 2020,
"Responsive safety in reinforcement learning by PID Lagrangian methods").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from annotated_types import Gt
from tensordict import TensorDictBase
from torch import Tensor

from lab.rl.common.on_policy import Experience
from lab.rl.common.processes import mean_over_processes
from lab.rl.constrained.cost_data import CostRolloutData
from lab.rl.data.rollout import Rollout
from lab.rl.envs.spaces import ActionSpec
from lab.rl.ppo import PPO
from lab.task import Task


class ConstrainedPPO(PPO):
    """Proximal policy optimisation whose mean cost per step is to stay within `cost_limit`.

    Its observation has the cost of the latest step as its last column, which the networks see, too. The best checkpoint
    is that with the largest `val/constrained_return`: the return, less its own size for each time that the cost is
    above the limit.

    Args:
        cost_limit: mean cost per step that is allowed, in the unit of `info["cost"]`.
        multiplier_init: first value of the Lagrange multiplier, in reward per cost.
        multiplier_lr: largest change of the multiplier's logarithm with a rollout, that of a cost of twice the limit or
            none at all.
    """

    multiplier: Tensor

    def __init__(
        self,
        env: str,
        observation_size: int,
        action: ActionSpec,
        num_envs: int,
        num_steps: int,
        cost_limit: Annotated[float, Gt(0)] = 0.1,
        multiplier_init: Annotated[float, Gt(0)] = 1.0,
        multiplier_lr: Annotated[float, Gt(0)] = 0.05,
        **kwargs: Any,
    ) -> None:
        super().__init__(env, observation_size, action, num_envs, num_steps, **kwargs)
        self.cost_limit, self.multiplier_lr = cost_limit, multiplier_lr
        self.register_buffer("multiplier", torch.tensor(float(multiplier_init)))

    def update_on_batch(self, rollout: Rollout, state: Sequence[Any]) -> dict[str, Tensor]:
        """PPO's updates, and then one of the multiplier."""
        measured = super().update_on_batch(rollout, state)
        cost = mean_over_processes(costs(rollout.steps).mean())
        excess = ((cost - self.cost_limit) / self.cost_limit).clamp(-1, 1)
        self.multiplier *= (self.multiplier_lr * excess).exp()
        return measured | {"cost": cost, "multiplier": self.multiplier.clone()}

    def experience(self, steps: TensorDictBase) -> Experience:
        """The rollout with its costs in its rewards."""
        penalised = (steps["next", "reward"] - self.multiplier * costs(steps)) / (1 + self.multiplier)
        following = steps["next"].clone(recurse=False).set("reward", penalised)
        return super().experience(steps.clone(recurse=False).set("next", following))

    def evaluate(self, stage: str, starts: list[int]) -> dict[str, float]:
        """As `Agent` has it, and the return less its own size for each time that the cost is above the limit."""
        metrics = super().evaluate(stage, starts)
        total, cost = metrics[f"{stage}/return"], metrics[f"{stage}/cost"]
        excess = max(0.0, cost / self.cost_limit - 1)
        return metrics | {f"{stage}/constrained_return": total - abs(total) * excess}


def costs(steps: TensorDictBase) -> Tensor:
    """The costs (T, N) of the steps of a rollout."""
    cost: Tensor = steps["next", "observation"][..., -1]
    return cost


TASK = Task(module=ConstrainedPPO, data=CostRolloutData, monitor="val/constrained_return", mode="max")
