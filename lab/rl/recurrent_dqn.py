"""Deep Q-network with memory: an LSTM or a GRU in front of the values, learnt from replayed sequences.

Source: Kapturowski et al. 2019, "Recurrent experience replay in distributed reinforcement learning" (R2D2): a sequence
begins with the state that the memory had when it was collected, and since the network has changed, its first steps only
bring the memory into its present state ("burn-in"); targets of double Q-learning. Before it Hausknecht and Stone 2015,
"Deep recurrent Q-learning for partially observable MDPs". Deviations: the gradient of later steps goes back through the
burn-in; the first steps of an episode are no burn-in, because there the memory is right; no priorities, no rescaling of
values.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le
from tensordict import TensorDict
from tensordict.nn import TensorDictModuleBase
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.rl.common.learner import HiddenSizes, gradient_norm
from lab.rl.common.off_policy import OffPolicy
from lab.rl.data.buffers.buffer import ReplayBuffer
from lab.rl.data.buffers.sequence_buffer import SequenceBuffer
from lab.rl.data.collector import ArrayCollector
from lab.rl.dqn import DQNReplayData
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec, discrete
from lab.rl.networks.encoder import example_input
from lab.rl.networks.memory import Follower, MemoryCell
from lab.rl.networks.recurrent_q import RecurrentEpsilonGreedy, RecurrentQNetwork
from lab.task import Task, Unit


class RecurrentDQN(OffPolicy):
    """Deep Q-network with an LSTM or a GRU, for environments that do not show all of their state; discrete actions.

    Args:
        action: number of discrete actions.
        tau: coefficient of the update of the target network: 1 copies the network.
        target_update_interval: updates between two of the target network.
        max_grad_norm: maximum gradient norm; null leaves gradients as they are.
        hidden: widths of the hidden layers behind the memory.
        epsilon: initial probability of a random action.
        final_epsilon: final probability of a random action.
        exploration_fraction: fraction of the run in which it falls, linearly.
        burn_in: first steps of a sequence that are in no loss, unless an episode begins with them.
        cell: `lstm` or `gru`.
        memory_size: size of the memory's output, in front of the hidden layers.
        reward_scale: rewards are multiplied by it.
    """

    batch_keys = ("observation", "action", ("next", "reward"), ("next", "observation"), ("next", "terminated"), "valid",
                  "begins", "memory")  # fmt: skip
    replays = ("n_step",)  # options of the data that it learns from
    uncompiled_because = "recurrent_dqn cannot be compiled: torch.compile leaves recurrent layers out"
    action_values: Tensor
    zeros: Tensor

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
        hidden: HiddenSizes = [64],  # noqa: B006 - never changed
        epsilon: Unit = 1.0,
        final_epsilon: Unit = 0.05,
        exploration_fraction: Annotated[float, Gt(0), Le(1)] = 0.1,
        burn_in: Annotated[int, Ge(0)] = 10,
        cell: MemoryCell = "lstm",
        memory_size: Annotated[int, Ge(1)] = 64,
        reward_scale: Annotated[float, Gt(0)] = 1.0,
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        num_envs: int = 1,
    ) -> None:
        super().__init__(
            env, observation_size, lr, final_lr, gamma, normalize_observations, normalize_rewards, num_envs
        )
        self.save_hyperparameters()
        choices = discrete(action, "recurrent_dqn", "use task=recurrent_ppo")
        self.tau, self.target_update_interval, self.max_grad_norm = tau, target_update_interval, max_grad_norm
        self.burn_in, self.reward_scale, self.n_step = burn_in, reward_scale, 1
        self.register_buffer("action_values", torch.tensor(choices.get("values", [])), persistent=False)
        self.network = RecurrentQNetwork(observation_size, choices["count"], cell, memory_size, hidden)
        self.target = copy.deepcopy(self.network).requires_grad_(False)
        self.target_parameters: list[Tensor] = list(self.target.parameters())
        self.explorer = RecurrentEpsilonGreedy(
            self.network, choices["count"], num_envs, epsilon, final_epsilon, exploration_fraction,
            self.observation_norm,
        )  # fmt: skip
        self.register_buffer("zeros", torch.zeros(self.network.memory.state_size), persistent=False)
        self.example_input_array = example_input(observation_size).unsqueeze(1)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        if stage == "fit":
            self.n_step = data.n_step
            if self.burn_in >= data.sequence_length:
                found = f"expected less than data.sequence_length ({data.sequence_length}), found {self.burn_in}"
                raise BadSetting("burn_in", found)

    def forward(self, observation: Tensor) -> Tensor:
        """Greedy actions (B, T), or what they mean (B, T, 1), for episodes from their beginning on, (B, T, O)."""
        values, _ = self.network(self.normalize(observation), self.zeros.expand(observation.shape[0], -1))
        return self.env_action(values.argmax(-1))

    def env_action(self, action: Tensor) -> Tensor:
        """Indices, or what the actions stand for in a Box."""
        return self.action_values[action] if len(self.action_values) else action

    def evaluation_policy(self) -> Callable[[Tensor], Tensor]:
        def act(observation: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            typed = self.typed(observation)
            values, state = self.network(self.normalize(typed).unsqueeze(1), state)
            return self.env_action(values.squeeze(1).argmax(-1)), state

        return Follower(act, self.zeros)

    def exploration_policy(self) -> TensorDictModuleBase:
        """The policy that collects: reads `observation` and `is_init`, writes the index `action`."""
        return self.explorer

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        return [list(self.network.parameters())]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        self.explorer.anneal(*self.trainer.datamodule.progress()[:2])  # type: ignore[attr-defined]
        return loss

    @torch.no_grad()
    def after_update(self, number: int) -> None:
        if (number + 1) % self.target_update_interval == 0:
            torch._foreach_lerp_(self.target_parameters, list(self.groups()[0]), self.tau)

    def loss(
        self,
        observation: Tensor,  # (B, L, O)
        action: Tensor,  # (B, L)
        reward: Tensor,  # (B, L, 1)
        next_observation: Tensor,  # (B, L, O)
        terminated: Tensor,  # (B, L, 1)
        valid: Tensor,  # (B, L)
        begins: Tensor,  # (B,)
        memory: Tensor,  # (B, S)
    ) -> tuple[Tensor, Tensor]:
        """The loss, and the mean value of the actions that were taken."""
        whole = torch.cat([observation[:, :1], next_observation], 1)  # (B, L + 1, O): within an episode one follows
        values, _ = self.network(whole, memory)  # (B, L + 1, A)
        with torch.no_grad():
            best = values[:, 1:].argmax(-1, keepdim=True)
            ahead = self.target(whole, memory)[0][:, 1:].gather(-1, best)  # (B, L, 1)
            goal = self._returns(self.reward_scale * reward, ahead * ~terminated, valid.unsqueeze(-1))
            is_late = torch.arange(valid.shape[1], device=valid.device) >= self.burn_in
            counted = (valid & (is_late | begins.unsqueeze(-1))).to(goal.dtype)  # (B, L)
            count = counted.sum().clamp(min=1.0)
        said = values[:, :-1].gather(-1, action.unsqueeze(-1))
        each = F.smooth_l1_loss(said, goal, reduction="none").squeeze(-1)
        return (each * counted).sum() / count, (said.detach().squeeze(-1) * counted).sum() / count

    def _returns(self, reward: Tensor, ahead: Tensor, valid: Tensor) -> Tensor:
        """Rewards of `n_step` steps and the value after them, discounted; of fewer at an end."""
        goal = one = reward + self.gamma * ahead
        for _ in range(self.n_step - 1):
            longer = torch.where(valid[:, 1:], reward[:, :-1] + self.gamma * goal[:, 1:], one[:, :-1])
            goal = torch.cat([longer, one[:, -1:]], 1)
        return goal

    def _update(self, state: Sequence[Any], *batch: Tensor, measure: bool) -> dict[str, Tensor]:
        """One Adam step."""
        loss, value = self.loss(*batch)
        gradient = torch.autograd.grad(loss, state[0][0])
        measured = {}
        if measure:
            measured = {"loss/q": loss.detach(), "q/mean": value, "gradient_norm/q": gradient_norm(gradient)}
        self._step(state, [gradient], self.max_grad_norm)
        return measured


class SequenceReplayData(DQNReplayData):
    """Replay of sequences, otherwise as for `dqn`; `batch_size` is their number in an update.

    Args:
        sequence_length: steps of a sequence, those of the burn-in among them.
        n_step: rewards that a target sums up before a value, fewer at the end of a sequence or an episode.
    """

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        sequence_length: Annotated[int, Ge(1)] = 30,
        n_step: Annotated[int, Ge(1)] = 5,
        **kwargs: Any,
    ) -> None:
        self.sequence_length = sequence_length
        if kwargs.get("vectorization") == "vector":
            raise BadSetting("vectorization", "sequences need consecutive steps, which vector lacks; set it to sync")
        super().__init__(env, total_steps, n_step=n_step, **kwargs)
        if self.goals is not None:
            raise BadSetting("hindsight", "sequences keep the goals that they were collected with; leave it out")

    def collect_steps(self, collector: ArrayCollector) -> TensorDict:
        """A block of steps (T, N), with the state of the policy's memory before each; zeros at random steps."""
        self.policy.visited = []
        steps = collector.collect()
        visited = self.policy.visited
        unknown = torch.zeros(len(steps) - len(visited), *self.policy.state.shape)
        # in single precision, as observations are kept
        steps["memory"] = torch.cat([unknown, *(state.cpu().unsqueeze(0) for state in visited)]).float()
        return steps

    def make_buffer(self, gamma: float) -> ReplayBuffer:  # noqa: ARG002 - as its parent's
        return SequenceBuffer(self.buffer_size, self.storage, self.sequence_length, self.num_envs)


TASK = Task(module=RecurrentDQN, data=SequenceReplayData, monitor="val/return", mode="max")
