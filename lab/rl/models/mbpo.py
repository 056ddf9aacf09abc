"""Model-based policy optimisation: soft actor-critic that learns mostly from steps of a learned model.

Source: Janner et al. 2019, "When to trust your model: model-based policy optimization". Deviations: the model takes a
step of Adam with every update, on the batch of that update, and its rollouts begin in the observations of that batch,
with the present policy, so that there is no second buffer of older ones; `rollout_length` stays the same all the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le
from tensordict import TensorDictBase
from torch import Tensor, nn

from lab import plots
from lab.rl.common.learner import HiddenSizes
from lab.rl.data.replay import ReplayData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec, continuous
from lab.rl.models import open_loop
from lab.rl.models.dynamics import DynamicsModel
from lab.rl.sac import SAC
from lab.task import Task, Unit


class MBPO(SAC):
    """Soft actor-critic on transitions of a learned model, for continuous actions and observations that are vectors.

    `test/model_error_1` and `test/model_error_10` are the errors of the model after so many steps of the greedy policy
    in the environment, in standard deviations of the observations.

    Args:
        num_members: networks of the model's ensemble.
        model_hidden: widths of their hidden layers.
        rollout_length: most steps that the model takes on from an observation of the buffer.
        real_ratio: share of real transitions in a batch; 1 is soft actor-critic.
    """

    averages_gradients = False  # each process would have statistics of its own

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
        num_envs: int = 1,
        num_members: Annotated[int, Gt(0)] = 5,
        model_hidden: HiddenSizes = [200, 200],  # noqa: B006
        rollout_length: Annotated[int, Ge(1)] = 1,
        real_ratio: Unit = 0.05,
    ) -> None:
        super().__init__(
            env, observation_size, action, lr, final_lr, gamma, tau, hidden, alpha_init, target_entropy, reward_scale,
            num_envs=num_envs,
        )  # fmt: skip
        self.rollout_length, self.real_ratio = rollout_length, real_ratio
        action_size = len(continuous(action, "mbpo")["low"])
        self.model = DynamicsModel(observation_size, action_size, model_hidden, num_members)

    def evaluate(self, stage: str, starts: list[int]) -> dict[str, float]:
        metrics = super().evaluate(stage, starts)
        if stage == "test":
            self.model_errors, errors = open_loop.greedy_errors(self, self.model, starts)
            metrics |= errors
        return metrics

    def draw(self) -> None:
        super().draw()
        plots.log_figure(self, "model_error.png", open_loop.plot(self.model_errors))

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return *super().groups(), list(self.model.parameters())

    def observe(self, steps: TensorDictBase) -> None:
        super().observe(steps)
        rows = steps.flatten(0, 1).to(self.device)
        self.model.observe(
            rows["observation"], rows["action"], rows["next", "reward"][:, None], rows["next", "observation"]
        )

    def update_inputs(self, batches: TensorDictBase) -> tuple[Tensor, ...]:
        """With standard normal noise (updates, rollout_length, B, A + O + 1) for the policy and the model."""
        inputs = super().update_inputs(batches)
        observation, action = inputs[:2]
        updates, rows, size = observation.shape
        noise = observation.new_empty(updates, self.rollout_length, rows, action.shape[-1] + size + 1).normal_()
        return *inputs, noise

    def _update(self, state: Sequence[Any], *batch: Tensor, measure: bool, **flags: Any) -> dict[str, Tensor]:
        """One Adam step of the model on the real batch, then SAC's update on the mixed one."""
        *real, noise, next_noise, rollout_noise = batch
        *own, of_model = state
        observation, action, reward, following, ended = real
        loss = self.model.loss(observation, action, reward, following, ended)
        self._step([of_model], [torch.autograd.grad(loss, of_model[0])])
        with torch.no_grad():
            mixed = self.mixed(real, rollout_noise)
        found = super()._update(own, *mixed, noise, next_noise, measure=measure, **flags)
        return found | {"loss/model": loss.detach()} if measure else found

    def mixed(self, real: Sequence[Tensor], noise: Tensor) -> list[Tensor]:
        """A batch whose first rows are real, and whose other ones are steps of the model with the present policy.

        Each row has a member and a number of steps of its own; a rollout that the model ends stays at its last step.

        Args:
            real: observation (B, O), action (B, A), reward (B, 1), next observation (B, O) and termination (B, 1).
            noise: standard normal (rollout_length, B, A + O + 1).
        """
        kept = round(self.real_ratio * len(real[0]))
        members = self.model.num_members
        rows = (len(real[0]) - kept) // members * members  # the rest is real as well
        if not rows:
            return list(real)
        kept = len(real[0]) - rows
        state, actions = real[0][kept:], real[1].shape[-1]
        length = torch.arange(rows, device=state.device)[:, None] // members % self.rollout_length
        found: list[Tensor] = []
        running = torch.ones_like(length, dtype=torch.bool)
        for step, drawn in enumerate(noise[:, kept:]):
            action = self.actor.sample(self.normalize(state), drawn[:, :actions])[0]
            # one row after the other to one member after the other: as rows are in random order, this is random
            states, chosen, of_model = (
                each.reshape(-1, members, each.shape[-1]).transpose(0, 1)
                for each in (state, action, drawn[:, actions:])
            )
            following, reward, ended = (
                each.transpose(0, 1).reshape(rows, -1) for each in self.model.step(states, chosen, of_model)
            )
            made = [state, action, reward, following, ended > 0.5]
            found = [torch.where(running, new, old) for new, old in zip(made, found or made, strict=True)]
            running = running & (length > step) & ~made[-1]
            state = following
        return [torch.cat([each[:kept], new]) for each, new in zip(real, found, strict=True)]


TASK = Task(module=MBPO, data=ReplayData, monitor="val/return", mode="max")
