"""Probabilistic ensembles with trajectory sampling (PETS): planning with a learned model of the environment.

Source: Chua et al. 2018, "Deep reinforcement learning in a handful of trials using probabilistic dynamics models". With
`num_members` 1, `probabilistic` false and `planner` random_shooting it is the model-based agent of Nagabandi et al.
2018. Deviations: rewards and terminations are learned, too; the model takes steps of Adam all the time, on batches of
the replay buffer, instead of whole trainings after each episode; each member follows the mean of its own predictions,
so that uncertainty counts as the disagreement of the members; and those of `lab.rl.models.planner`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torch import Tensor, nn
from torch.nn import functional as F

from lab import plots
from lab.errors import BadSetting
from lab.rl.common import evaluation
from lab.rl.common.learner import HiddenSizes, gradient_norm
from lab.rl.common.off_policy import OffPolicy
from lab.rl.data.replay import ReplayData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec, continuous
from lab.rl.models import open_loop
from lab.rl.models.dynamics import DynamicsModel
from lab.rl.models.planner import Method, Planner
from lab.rl.models.true_models import TRUE_MODELS, StepFunction
from lab.rl.networks.exploration import Act, ExplorationPolicy
from lab.task import Task, Unit


class PETS(OffPolicy):
    """Plans each action with a learned model, for continuous or discrete actions and observations that are vectors.

    `test/return_true_model` is the return of the same planner with the environment's own equations, from the same
    starts, in Pendulum-v1 and CartPole-v1. `test/model_error_1` and `test/model_error_10` are the errors of the model
    after so many steps of the policy in the environment, in standard deviations of the observations.

    Args:
        action: bounds of a continuous action, or number of discrete actions; a fact of the data.
        lr: learning rate of the model's Adam.
        gamma: discount of the planned rewards per step.
        planner: `random_shooting` takes the best of uniform sequences of actions, `cem` (cross-entropy method) draws
            new ones around the best, `mppi` around all, weighted by their returns.
        horizon: steps of a plan.
        num_candidates: sequences in an iteration of the planner.
        num_iterations: iterations of the planner; `random_shooting` draws as many sequences all at once.
        elite_frac: share of the sequences around which new ones are drawn; if `cem`.
        temperature: of the weights, in standard deviations of the returns; if `mppi`.
        noise_beta: exponent of the colour of the sequences' noise: its power falls with frequency as f^-noise_beta; 0
            is white, 2 makes actions change slowly.
        num_members: networks of the model's ensemble.
        model_hidden: widths of their hidden layers.
        probabilistic: each predicts a Gaussian; else its mean alone, from squared errors.
    """

    averages_gradients = False  # each process would have statistics of its own

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        lr: Annotated[float, Gt(0)] = 1e-3,
        final_lr: Unit = 1.0,
        gamma: Unit = 1.0,
        planner: Method = "cem",
        horizon: Annotated[int, Ge(1)] = 25,
        num_candidates: Annotated[int, Ge(2)] = 400,
        num_iterations: Annotated[int, Ge(1)] = 5,
        elite_frac: Annotated[float, Gt(0), Le(1)] = 0.1,
        temperature: Annotated[float, Gt(0)] = 0.2,
        noise_beta: Annotated[float, Ge(0)] = 0.0,
        num_members: Annotated[int, Ge(1)] = 5,
        model_hidden: HiddenSizes = [200, 200],  # noqa: B006 - never changed
        probabilistic: bool = True,
        num_envs: int = 1,
    ) -> None:
        super().__init__(env, observation_size, lr, final_lr, gamma, False, False, num_envs)
        self.save_hyperparameters()
        if "counts" in action:
            raise BadSetting("action", f"pets needs one action, found {len(action['counts'])} at once: use task=ppo")
        spec = action if "count" in action else continuous(action, "pets")
        self.planner = Planner(
            spec, horizon, planner, num_candidates, num_iterations, elite_frac, temperature, noise_beta
        )
        self.model = DynamicsModel(observation_size, self.planner.action_size, model_hidden, num_members, probabilistic)

    def forward(self, observation: Tensor) -> Tensor:
        """The action (B, A), or its index (B,), with which the best plan begins in states (B, O)."""
        members = self.model.num_members

        def step(state: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return self.model.step(state, action.expand(members, -1, -1), None)

        return self.plan(observation, step, members)

    def plan(self, observation: Tensor, step: StepFunction, members: int = 1) -> Tensor:
        """The same with any model.

        Args:
            observation: states to plan for, (B, O).
            step: states (E, R, O) and actions (R, A) -> the next ones, rewards (E, R, 1) and probabilities of
                termination (E, R, 1).
            members: E; the return of a plan is the mean of theirs.
        """

        def evaluate(sequences: Tensor) -> Tensor:
            batch, candidates = sequences.shape[:2]
            state = observation.repeat_interleave(candidates, 0).expand(members, -1, -1)
            running, total, discount = torch.ones_like(state[..., :1]), torch.zeros_like(state[..., :1]), 1.0
            for action in sequences.flatten(0, 1).unbind(1):
                state, reward, ended = step(state, action)
                total = total + discount * running * reward
                running, discount = running * (1 - ended), discount * self.gamma
            return total.mean(0).view(batch, candidates)

        action: Tensor = self.planner(evaluate, observation.shape[0])  # an export would take `len` for a constant
        return action

    def exploration_policy(self) -> TensorDictModuleBase:
        """The planner itself: what the model does not know yet, its plans run into."""
        return Planning(self)

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return [list(self.model.parameters())]

    def observe(self, steps: TensorDictBase) -> None:
        rows = steps.flatten(0, 1).to(self.device)
        action = self._numbers(rows["action"])
        self.model.observe(rows["observation"], action, rows["next", "reward"][:, None], rows["next", "observation"])

    def update_inputs(self, batches: TensorDictBase) -> tuple[Tensor, ...]:
        observation, action, *rest = super().update_inputs(batches)
        return observation, self._numbers(action), *rest

    def _numbers(self, action: Tensor) -> Tensor:
        """Indices (...,) of discrete actions as the one-hot rows (..., A) that the model reads; others as they are."""
        count = self.planner.count
        return F.one_hot(action.long(), count).to(self.dtype) if count else action

    def _update(self, state: Sequence[Any], *batch: Tensor, measure: bool) -> dict[str, Tensor]:
        """One Adam step of the model."""
        loss = self.model.loss(*batch)
        gradient = torch.autograd.grad(loss, state[0][0])
        self._step(state, [gradient])
        return {"loss/model": loss.detach(), "gradient_norm/model": gradient_norm(gradient)} if measure else {}

    def evaluate(self, stage: str, starts: list[int]) -> dict[str, float]:
        metrics = super().evaluate(stage, starts)
        if stage == "test":
            self.model_errors, errors = open_loop.greedy_errors(self, self.model, starts, self._numbers)
            metrics |= errors
            true_model = TRUE_MODELS.get(self.env) if self.env_factory.is_plain else None
            if true_model is not None:
                data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
                policy = partial(self.plan, step=true_model)
                returns = evaluation.play(policy, self.env_factory, starts, self.device, data.eval_envs)
                metrics["test/return_true_model"] = float(returns.mean())
        return metrics

    def draw(self) -> None:
        plots.log_figure(self, "model_error.png", open_loop.plot(self.model_errors))


class Planning(ExplorationPolicy):
    """Acts by the present plans of an agent.

    Args:
        agent: whose `forward` maps observations (N, O) to actions.
    """

    def __init__(self, agent: PETS) -> None:
        super().__init__()
        self.plans = (agent,)  # in a tuple, so that the agent does not become a part of its own policy

    def noise(self, *shape: int) -> Tensor:
        """None: plans draw the same random numbers each time."""
        return torch.zeros(*shape, 0, device=self.plans[0].device)

    def actor(self) -> Act:
        (agent,) = self.plans

        def act(observation: Tensor, noise: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001
            action = agent.forward(observation)
            action = action.to(torch.float32) if action.is_floating_point() else action
            return action, action

        return act


TASK = Task(module=PETS, data=ReplayData, monitor="val/return", mode="max")
