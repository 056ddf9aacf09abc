"""Proximal policy optimisation with memory: an LSTM or a GRU in front of the policy, and another one of the critic.

Source: the objectives of `PPO`; the training on sequences as in sb3-contrib's RecurrentPPO: a rollout is cut into
sequences at the beginnings of episodes and after `sequence_length` steps, each of which starts with the state that the
networks had there when the rollout was collected (Kapturowski et al. 2019, "stored state"). Sequences are padded, and
what is padded is in no loss. Deviation: a minibatch has about `batch_size` steps, because sequences stay whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from lab.rl.common.advantage import gae
from lab.rl.common.learner import HiddenSizes
from lab.rl.data.rollout import Rollout, RolloutData
from lab.rl.data.sequences import Sequences, sequences
from lab.rl.envs.observations import ObservationSize
from lab.rl.envs.spaces import ActionSpec
from lab.rl.networks.encoder import example_input
from lab.rl.networks.exploration import Act
from lab.rl.networks.memory import Follower, Memory, MemoryCell
from lab.rl.ppo import PPO
from lab.task import Task, Unit


class RecurrentPPO(PPO):
    """Proximal policy optimisation with an LSTM or a GRU, for environments that do not show all of their state.

    Args:
        cell: `lstm` or `gru`.
        memory_size: size of the memory's output, in front of the hidden layers.
        sequence_length: steps through which gradients go back, at most.
        batch_size: steps per update, about; sequences stay whole.
    """

    actor_state: Tensor
    critic_state: Tensor
    actor_start: Tensor
    begins: Tensor

    uncompiled_because = "recurrent_ppo cannot be compiled: the shapes of its batches change; leave it out"
    averages_gradients = False  # processes cut their rollouts into different numbers of minibatches

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
        batch_size: Annotated[int, Ge(2)] = 128,
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
        cell: MemoryCell = "lstm",
        memory_size: Annotated[int, Ge(1)] = 256,
        sequence_length: Annotated[int, Ge(1)] = 128,
    ) -> None:
        self.cell, self.memory_size, self.sequence_length = cell, memory_size, sequence_length  # before the networks
        super().__init__(
            env, observation_size, action, num_envs, num_steps, lr, final_lr, gamma, gae_lambda, update_epochs,
            batch_size, objective, clip_range, target_kl, entropy_coef, value_coef, max_grad_norm, hidden, log_std_init,
            normalize_observations, normalize_advantages, normalize_rewards,
        )  # fmt: skip
        zeros = torch.zeros(num_envs, self.actor_memory.state_size)
        self.register_buffer("actor_state", zeros.clone())  # of the present episodes, after the latest rollout
        self.register_buffer("critic_state", zeros.clone())
        self.register_buffer("actor_start", zeros.clone(), persistent=False)  # before it
        self.register_buffer("begins", torch.ones(num_envs, dtype=torch.bool), persistent=False)
        self.example_input_array = example_input(observation_size).unsqueeze(1)

    def features(self, observation_size: ObservationSize) -> int:
        """The outputs of the memories, which are made here."""
        self.actor_memory = Memory(observation_size, self.cell, self.memory_size)
        self.critic_memory = Memory(observation_size, self.cell, self.memory_size)
        return self.memory_size

    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        (group,) = super().groups()
        return [[*group, *self.actor_memory.parameters(), *self.critic_memory.parameters()]]

    def forward(self, observation: Tensor) -> Tensor:
        """Greedy actions (B, T, A), or (B, T) of discrete ones, for episodes from their beginning on, (B, T, O)."""
        state = self.actor_state.new_zeros(observation.shape[0], self.actor_state.shape[1])  # `len` would fix it
        outputs, _ = self.actor_memory(self.normalize(observation), state)
        return self.policy.env_action(self.policy.mode(self.policy(outputs)))

    def evaluation_policy(self) -> Callable[[Tensor], Tensor]:
        def act(observation: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            outputs, state = self.actor_memory.step(self.normalize(self.typed(observation)), state)
            return self.policy.env_action(self.policy.mode(self.policy(outputs))), state

        return Follower(act, self.actor_state[0])

    def actor(self) -> Act:
        policy, net, is_first = self.policy, self.policy.net.as_function(), True

        def act(observation: Tensor, noise: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor]:
            nonlocal is_first
            if is_first:  # the sequences of the rollout start here
                self.actor_start.copy_(self.actor_state)
                self.begins.copy_(is_init)
                is_first = False
            state = self.actor_state * ~is_init.unsqueeze(-1)
            outputs, state = self.actor_memory.step(self.normalize(observation.to(noise.dtype)), state)
            self.actor_state.copy_(state)
            action = policy.sample(policy.distribution(net(outputs)), noise)
            return action, policy.env_action(action)

        return act

    def update_on_batch(self, rollout: Rollout, state: Sequence[Any]) -> dict[str, Tensor]:
        """`update_epochs` passes over the sequences; logged is the mean of the last one."""
        steps, cuts = self.remembered(rollout.steps)
        count = max(1, rollout.steps.numel() // self.batch_size)
        for _ in range(self.update_epochs):
            order = torch.randperm(len(cuts.first), device=cuts.first.device)
            batches = [Sequences(*(column[rows] for column in cuts)) for rows in order.tensor_split(count) if len(rows)]
            measured_each = [self.update(state, steps, cut) for cut in batches]
        where = torch.cat([cut.places[cut.mask] for cut in batches])
        return self.measured(measured_each, *(steps[key][where] for key in ("action", "old", "log_prob")))

    @torch.no_grad()
    def remembered(self, steps: Any) -> tuple[dict[str, Tensor], Sequences]:
        """The columns of a rollout (N T, ...), with advantages and the states of both memories, and its sequences."""
        following = steps["next"]
        seen, ahead = self.normalize(torch.stack([steps["observation"], following["observation"]]))  # (T, N, O)
        done, reward = following["done"], following["reward"]
        is_init = torch.cat([self.begins.unsqueeze(0), done[:-1]])
        outputs, actor_states, _ = self.actor_memory.unroll(seen, self.actor_start, is_init)
        criticised, critic_states, after = self.critic_memory.unroll(seen, self.critic_state, is_init)
        self.critic_state.copy_(after[-1])
        # at every step, because the next observation of the last one of an episode is not among those seen
        future = self.value(self.critic_memory.step(ahead.flatten(0, 1), after.flatten(0, 1))[0]).view_as(reward)
        value, old = self.value(criticised), self.policy(outputs)
        if self.reward_scale is not None:
            reward = self.reward_scale(reward, done)
        advantage = gae(value, future, reward, following["terminated"], done, self.gamma, self.gae_lambda)
        if self.observation_norm is not None:
            self.observation_norm.update(steps["observation"].flatten(0, 1))
        columns = {
            "observation": seen, "action": steps["action"], "advantage": advantage, "target": advantage + value,
            "old": old, "log_prob": self.policy.log_prob(old, steps["action"]),
            "actor_state": actor_states, "critic_state": critic_states,
        }  # fmt: skip
        flat = {name: column.transpose(0, 1).flatten(0, 1) for name, column in columns.items()}
        return flat, sequences(is_init, self.sequence_length)

    def _say(self, steps: dict[str, Tensor], cut: Sequences) -> tuple[Tensor, Tensor]:
        """The policy's parameters (M, P) and values (M,) of the steps of some sequences."""
        seen = steps["observation"][cut.places]
        outputs, _ = self.actor_memory(seen, steps["actor_state"][cut.first])
        criticised, _ = self.critic_memory(seen, steps["critic_state"][cut.first])
        return self.policy(outputs[cut.mask]), self.value(criticised[cut.mask])

    def _update(self, state: Sequence[Any], steps: dict[str, Tensor], cut: Sequences) -> dict[str, Tensor]:  # type: ignore[override]
        where = cut.places[cut.mask]
        rest = (steps[name][where] for name in ("action", "advantage", "target", "old", "log_prob"))
        return self._descend(state, *self._say(steps, cut), *rest)

    def draw(self) -> None:
        """Nothing: what it does depends on more than the present observation."""


class RecurrentRolloutData(RolloutData):
    """Rollouts of 128 steps by default."""

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        num_steps: Annotated[int, Gt(0)] = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(env, total_steps, num_steps=num_steps, eval_deterministic=True, **kwargs)


TASK = Task(module=RecurrentPPO, data=RecurrentRolloutData, monitor="val/return", mode="max")
