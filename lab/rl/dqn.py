"""Deep Q-learning (DQN), with the extensions of Rainbow as switches.

Sources: Mnih et al. 2015 (DQN); van Hasselt et al. 2016 (`double`); Wang et al. 2016 (`dueling`); Fortunato et al. 2018
(`noisy`); Bellemare et al. 2017 (`distributional`); Dabney et al. 2018 (QR-DQN, `quantile`); Schaul et al. 2016 and
several steps (`data.prioritized`, `data.n_step`); Hessel et al. 2018 (Rainbow: all but quantiles). Deviations: Adam;
the target may also follow softly (`tau`); rewards may be scaled, and are clipped in Atari games alone; the learning
rate may fall. Truncated episodes bootstrap, terminated ones do not.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le, MinLen
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.networks import upcast
from lab.rl.common import plots as pictures
from lab.rl.common.learner import HiddenSizes, gradient_norm
from lab.rl.common.off_policy import OffPolicy
from lab.rl.common.quantiles import quantile_fractions, quantile_huber
from lab.rl.data.replay import Block, ReplayData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec, discrete
from lab.rl.networks.epsilon_greedy import EpsilonGreedy
from lab.rl.networks.q_network import QNetwork
from lab.task import Task, Unit


class DQN(OffPolicy):
    """Deep Q-learning for discrete actions.

    Args:
        action: number of discrete actions.
        tau: coefficient of the update of the target network; 1 is a hard update.
        target_update_interval: updates between two updates of the target network.
        max_grad_norm: maximum gradient norm; null for no clipping.
        hidden: widths of the hidden layers; the last one is separate for the two streams of `dueling`, and noisy with
            `noisy`.
        epsilon: initial probability of a random action, after `data.learning_starts`; not used if `noisy`.
        final_epsilon: final probability of a random action.
        exploration_fraction: fraction of the run over which the probability decreases linearly from `epsilon` to
            `final_epsilon`.
        double: double Q-learning: the network selects the next action, the target network evaluates it.
        dueling: dueling network: separate outputs for the value of the state and the advantages of the actions.
        noisy: noisy networks: exploration by learned noise in the weights instead of random actions.
        sigma: initial scale of the noise of `noisy`.
        distributional: C51: learn the distribution of the return on `num_atoms` fixed atoms.
        num_atoms: number of atoms of the return; if `distributional`.
        quantile: QR-DQN: learn `num_quantiles` quantiles of the return, wherever they lie.
        num_quantiles: number of quantiles of the return; if `quantile`.
        v_min: smallest atom, in units of scaled rewards.
        v_max: largest atom, in units of scaled rewards.
        observation_scale: divisors of the observations, one for each.
        reward_scale: rewards are multiplied by it.
    """

    replays = ("n_step", "prioritized")  # options of the data that it learns from
    support: Tensor
    fractions: Tensor
    action_values: Tensor

    def __init__(
        self,
        env: str,
        observation_size: ObservationSize,
        action: ActionSpec,
        lr: Annotated[float, Gt(0)] = 1e-4,
        final_lr: Unit = 1.0,
        gamma: Unit = 0.99,
        tau: Annotated[float, Gt(0), Le(1)] = 1.0,
        target_update_interval: Annotated[int, Ge(1)] = 2_500,
        max_grad_norm: Annotated[float, Gt(0)] | None = 10.0,
        hidden: HiddenSizes = [64, 64],  # noqa: B006 - never changed
        epsilon: Unit = 1.0,
        final_epsilon: Unit = 0.05,
        exploration_fraction: Annotated[float, Gt(0), Le(1)] = 0.1,
        double: bool = False,
        dueling: bool = False,
        noisy: bool = False,
        sigma: Annotated[float, Gt(0)] = 0.5,
        distributional: bool = False,
        num_atoms: Annotated[int, Ge(2)] = 51,
        v_min: float = -10.0,
        v_max: float = 10.0,
        quantile: bool = False,
        num_quantiles: Annotated[int, Ge(1)] = 200,
        observation_scale: Annotated[list[Annotated[float, Gt(0)]], MinLen(1)] | None = None,
        reward_scale: Annotated[float, Gt(0)] = 1.0,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        num_envs: int = 1,
    ) -> None:
        super().__init__(
            env, observation_size, lr, final_lr, gamma, normalize_observations, normalize_rewards, num_envs
        )
        self.save_hyperparameters()
        choices = discrete(action, "dqn", "use a task for continuous actions, such as ddpg")
        if v_min >= v_max:
            raise BadSetting("v_min", f"expected less than v_max ({v_max}), found {v_min}")
        if quantile and distributional:
            raise BadSetting("quantile", "distributional learns the same return on fixed atoms; set one of them")
        if observation_scale is not None and len(observation_scale) != observation_size:
            seen = f"{observation_size} numbers" if isinstance(observation_size, int) else "no vector"
            raise BadSetting("observation_scale", f"{env!r} observes {seen}, found {len(observation_scale)}")
        self.tau, self.reward_scale = tau, reward_scale
        self.target_update_interval, self.max_grad_norm = target_update_interval, max_grad_norm
        self.double_q, self.distributional = double, distributional
        self.quantile = quantile
        self.register_buffer("fractions", quantile_fractions(num_quantiles), persistent=False)
        self.register_buffer("support", torch.linspace(v_min, v_max, num_atoms), persistent=False)
        action_values = torch.tensor(choices.get("values", []))  # (A, 1): what the actions stand for in a Box
        self.register_buffer("action_values", action_values, persistent=False)
        self.network = QNetwork(
            observation_size,
            choices["count"],
            hidden,
            num_atoms if distributional else num_quantiles if quantile else 1,
            dueling,
            sigma if noisy else None,
            observation_scale,
        )
        self.target = copy.deepcopy(self.network).requires_grad_(False)
        self.target_parameters: list[Tensor] = list(self.target.parameters())
        probabilities = (0.0, 0.0) if noisy else (epsilon, final_epsilon)
        self.explorer = EpsilonGreedy(
            self.network, self.values, choices["count"], *probabilities, exploration_fraction, self.observation_norm
        )

    def values(self, outputs: Tensor) -> Tensor:
        """Values (..., A) from what a network says, (..., A, N)."""
        if self.distributional:
            return (outputs.softmax(-1) * self.support).sum(-1)
        return outputs.mean(-1) if self.quantile else outputs.squeeze(-1)

    def forward(self, observation: Tensor) -> Tensor:
        """Greedy actions for observations (B, O): indices (B,), or what they mean (B, 1), without noise."""
        best = self.network.greedy(self.values(self.network(self.normalize(observation))), observation)
        return self.action_values[best] if len(self.action_values) else best

    def exploration_policy(self) -> TensorDictModuleBase:
        """The policy that collects: reads `observation`, writes the index `action`."""
        return self.explorer

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return [list(self.network.parameters())]

    @torch.no_grad()
    def after_update(self, number: int) -> None:
        if self.target_update_interval > 1 and (number + 1) % self.target_update_interval == 0:
            torch._foreach_lerp_(self.target_parameters, list(self.groups()[0]), self.tau)

    def training_step(self, block: Block, batch_idx: int) -> Tensor:
        loss = super().training_step(block, batch_idx)
        self.explorer.anneal(*self.trainer.datamodule.progress()[:2])  # type: ignore[attr-defined]
        return loss

    def update_inputs(self, batches: TensorDictBase) -> tuple[Tensor, ...]:
        reward = batches["next", "reward"]  # (updates, B, 1)
        steps = batches.get("steps", torch.ones_like(reward))
        weight = batches.get("priority_weight", None)  # of samples by priority alone
        # two samples of the weights per update: the network's and the target's
        noise = torch.randn(len(reward), 2, self.network.noise_size, device=reward.device)
        return (*super().update_inputs(batches), self.gamma**steps, noise, *([] if weight is None else [weight]))

    def loss(
        self,
        observation: Tensor,  # (B, O)
        action: Tensor,  # (B,)
        reward: Tensor,  # (B, 1)
        next_observation: Tensor,  # (B, O)
        terminated: Tensor,  # (B, 1)
        discount: Tensor,  # (B, 1)
        noise: Tensor,  # (2, noise_size)
        weight: Tensor | None = None,  # (B,), of samples by priority
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """The loss, the error of each value (B,) if they have a `weight`, and the mean value."""
        with torch.no_grad():
            following = self.target(next_observation, noise[1])  # (B, A, N)
            judge = self.network(next_observation, noise[0]) if self.double_q else following
            ahead = pick(following, self.network.greedy(self.values(judge), next_observation))  # (B, N)
            reward, discount = self.reward_scale * reward, discount * ~terminated
            if self.distributional:
                goal = project(ahead.softmax(-1), reward + discount * self.support, self.support)
            else:
                goal = reward + discount * ahead
        outputs = self.network(observation, noise[0])
        said = pick(outputs, action)
        if self.distributional:
            each = -(goal * said.log_softmax(-1)).sum(-1)
            error = each + torch.xlogy(goal, goal).sum(-1)  # Kullback-Leibler, which is 0 where nothing is wrong
        elif self.quantile:
            each = quantile_huber(upcast(said), upcast(goal).sort(-1).values, self.fractions).sum(-1) / goal.shape[-1]
            error = (said.mean(-1) - goal.mean(-1)).abs()
        else:
            each = F.smooth_l1_loss(said, goal, reduction="none").squeeze(-1)  # the error, clipped to 1 in the gradient
            error = (said - goal).abs().squeeze(-1)
        value = self.values(outputs.detach()).mean()
        return (each.mean(), None, value) if weight is None else ((weight * each).mean(), error.detach(), value)

    def _update(self, state: Sequence[Any], *batch: Tensor, measure: bool) -> dict[str, Tensor]:
        """One Adam step, and one of the target network if it moves after every update."""
        parameters = state[0][0]
        loss, errors, value = self.loss(*batch)
        gradient = torch.autograd.grad(loss, parameters)
        measured = {} if errors is None else {"errors": errors.clamp(min=0)}
        if measure:
            measured |= {"loss/q": loss.detach(), "q/mean": value, "gradient_norm/q": gradient_norm(gradient)}
        self._step(state, [gradient], self.max_grad_norm)
        if self.target_update_interval == 1:
            with torch.no_grad():
                torch._foreach_lerp_(self.target_parameters, parameters, self.tau)
        return measured

    def draw(self) -> None:
        pictures.draw_policy(self)
        pictures.draw_value(self, self.state_value)

    def state_value(self, observation: Tensor) -> Tensor:
        """The greatest value (B, 1) of an action in states (B, O)."""
        return self.values(self.network(self.normalize(observation))).amax(-1, keepdim=True)


def pick(outputs: Tensor, action: Tensor) -> Tensor:
    """(B, A, N) and actions (B,) -> (B, N)."""
    return outputs.gather(-2, action[:, None, None].expand(-1, 1, outputs.shape[-1])).squeeze(-2)


def project(probability: Tensor, returns: Tensor, support: Tensor) -> Tensor:
    """Moves each probability (B, N) from its return (B, N) to the two nearest of the evenly spaced `support` (N,).

    Each takes the more, the nearer it is, so that the mean stays, but for returns beyond the support, which go to its
    ends. The weight of atom i is a triangle around it: max(0, 1 - |return - z_i| / spacing).
    """
    spacing = support[1] - support[0]
    inside = returns.clamp(support[0], support[-1])
    weight = (1 - (inside[:, None, :] - support[:, None]).abs() / spacing).clamp(min=0)  # (B, N, N)
    return (weight @ probability[..., None]).squeeze(-1)


class DQNReplayData(ReplayData):
    """Replay of small batches by default, and one update for every four environment steps."""

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        batch_size: Annotated[int, Gt(0)] = 32,
        train_freq: Annotated[int, Gt(0)] = 40,
        updates_per_step: Annotated[float, Gt(0)] = 0.25,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            env, total_steps, batch_size=batch_size, train_freq=train_freq, updates_per_step=updates_per_step, **kwargs
        )


TASK = Task(module=DQN, data=DQNReplayData, monitor="val/return", mode="max")
