"""Deep deterministic policy gradient: a deterministic actor climbs the value that a critic learns from replay.

Source: Lillicrap et al. 2016, "Continuous control with deep reinforcement learning". Deviations: no batch
normalisation and no weight decay, actor and critic step on the same batch from the same parameters (so that both
gradients are one graph), Gaussian noise by default, rewards may be scaled and the learning rate may fall. Truncated
episodes bootstrap, terminated ones do not.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le, MinLen
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torch import Tensor
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.rl import adam, pictures
from lab.rl.agent import Agent, mean_or_nothing
from lab.rl.environment import Box, Discrete, continuous
from lab.rl.exploration import GaussianNoise, OrnsteinUhlenbeckNoise
from lab.rl.networks import Actor, Critic
from lab.rl.replay import Block, ReplayData
from lab.task import Task

Unit = Annotated[float, Ge(0), Le(1)]


class DDPG(Agent):
    """Deep deterministic policy gradient for continuous actions.

    Args:
        env: name of the Gymnasium environment, in which the agent is evaluated.
        observation_size: length of an observation.
        action: bounds of the action.
        lr: learning rate of the actor's and the critic's Adam.
        final_lr: learning rate at the end of the run, reached linearly, as a fraction of `lr`.
        gamma: discount of the return per step.
        tau: how far the targets move towards the networks per update.
        hidden: widths of the hidden layers of actor and critic.
        noise: exploration noise; `ornstein_uhlenbeck` drifts over several steps, `gaussian` does not.
        sigma: standard deviation of the noise, as a fraction of half the action's range.
        reward_scale: what the critic multiplies rewards with; values near 1 suit its first weights and its Adam.
    """

    updates: Tensor

    def __init__(
        self,
        env: str,
        observation_size: int,
        action: Box | Discrete,
        lr: Annotated[float, Gt(0)] = 1e-3,
        final_lr: Unit = 1.0,
        gamma: Unit = 0.99,
        tau: Annotated[float, Gt(0), Le(1)] = 0.005,
        hidden: Annotated[list[Annotated[int, Gt(0)]], MinLen(1)] = [256, 256],  # noqa: B006 - never changed
        noise: Literal["gaussian", "ornstein_uhlenbeck"] = "gaussian",
        sigma: Annotated[float, Ge(0)] = 0.1,
        reward_scale: Annotated[float, Gt(0)] = 1.0,
    ) -> None:
        super().__init__(env)
        self.save_hyperparameters()
        bounds = continuous(action, "ddpg", "take a task for discrete actions, such as dqn")
        self.lr, self.final_lr, self.gamma, self.tau, self.reward_scale = lr, final_lr, gamma, tau, reward_scale
        self.actor = Actor(observation_size, bounds, hidden)
        self.critic = Critic(observation_size, len(bounds["low"]), hidden)
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        noises = {"gaussian": GaussianNoise, "ornstein_uhlenbeck": OrnsteinUhlenbeckNoise}
        self.explorer = noises[noise](self.actor, bounds, sigma)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.example_input_array = torch.zeros(1, observation_size)
        self.update: Callable[..., Any] = self._update
        self.compiled = False

    def forward(self, observation: Tensor) -> Tensor:
        """Greedy action (B, A) for observations (B, O)."""
        action: Tensor = self.actor(observation)
        return action

    def exploration_policy(self) -> TensorDictModuleBase:
        """The policy that collects: reads `observation`, writes `action`."""
        return self.explorer

    def compile(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - torch's own signature
        """Makes one update, both gradients and both Adam steps, a single compiled graph."""
        torch._dynamo.config.trace_autograd_ops = True  # lets the compiler see `torch.autograd.grad`
        # many agents may live in one process, and each has a graph of its own
        compiler: Any = torch.compile  # its type stubs do not know the last keyword
        self.update = compiler(self._update, fullgraph=True, dynamic=False, isolate_recompiles=True)
        self.compiled = True

    def setup(self, stage: str) -> None:
        if stage == "fit" and self.trainer.precision == "16-mixed":
            raise BadSetting("trainer.precision", "ddpg has no loss scaler; use bf16-mixed or 32-true")
        if stage == "fit" and self.compiled and self.trainer.world_size > 1:
            raise BadSetting("compile", "ddpg averages gradients between processes, which its graph cannot hold")

    def configure_optimizers(self) -> adam.Adam:
        networks = (self.actor, self.critic)
        return adam.Adam([{"params": list(network.parameters()), "lr": self.lr} for network in networks])

    def training_step(self, block: Block, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        self.env_steps = block.env_steps
        done, total, _ = self.trainer.datamodule.progress()  # type: ignore[attr-defined]
        optimizer: Any = self.optimizers()
        for group in optimizer.param_groups:
            group["lr"] = self.lr * (1 - (1 - self.final_lr) * done / total)
        measured = optimizer.step(lambda: self._block(block.batches, optimizer.tensors()))
        if self.logger is not None:
            names = ("loss/critic", "loss/actor", "q/mean", "gradient_norm/actor", "gradient_norm/critic")
            metrics = dict(zip(names, measured.tolist(), strict=True)) | mean_or_nothing(block.returns, "train/return")
            metrics |= {"env_steps": block.env_steps, "updates": int(self.updates)}
            self.logger.log_metrics(metrics, step=block.env_steps)

    def _block(self, batches: TensorDictBase, state: Sequence[Any]) -> Tensor:
        """All updates of one block; returns what the last one measured."""
        columns = (
            batches["observation"],
            batches["action"],
            batches["next", "reward"],
            batches["next", "observation"],
            batches["next", "terminated"],
        )
        *firsts, last = zip(*(column.unbind(0) for column in columns), strict=True)
        for batch in firsts:
            self.update(state, *batch, measure=self.compiled)  # one graph is enough
        self.updates += len(batches)
        measured: Tensor = self.update(state, *last, measure=True)
        return measured

    def losses(
        self, observation: Tensor, action: Tensor, reward: Tensor, successor: Tensor, terminated: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Critic loss, actor loss and the critic's mean value of one batch: (B, O), (B, A), (B, 1), (B, O), (B, 1)."""
        with torch.no_grad():
            future = self.target_critic(successor, self.target_actor(successor))
            goal = self.reward_scale * reward + self.gamma * future * ~terminated
        value = self.critic(observation, action)
        actor_loss = -self.critic(observation, self.actor(observation)).mean()
        return F.mse_loss(value, goal), actor_loss, value.mean()

    def _update(self, state: Sequence[Any], *batch: Tensor, measure: bool) -> Tensor | None:
        """One Adam step of actor and critic, then of the targets; runs eager or compiled."""
        actor, critic = list(self.actor.parameters()), list(self.critic.parameters())
        critic_loss, actor_loss, value = self.losses(*batch)
        gradients = [torch.autograd.grad(actor_loss, actor), torch.autograd.grad(critic_loss, critic)]
        if torch.distributed.is_initialized():
            average(gradients)
        for tensors, gradient in zip(state, gradients, strict=True):
            adam.adam_(gradient, *tensors)
        with torch.no_grad():
            targets: list[Tensor] = [*self.target_actor.parameters(), *self.target_critic.parameters()]
            torch._foreach_lerp_(targets, [*actor, *critic], self.tau)
            if not measure:
                return None
            norms = [torch.stack(torch._foreach_norm(gradient)).norm() for gradient in gradients]
            return torch.stack([critic_loss.float(), actor_loss.float(), value.float(), *norms])

    def draw(self) -> None:
        pictures.draw_policy(self)


def average(gradients: Sequence[Sequence[Tensor]]) -> None:
    """Averages gradients over all processes, in place, as one message."""
    flat = torch.cat([gradient.flatten() for group in gradients for gradient in group])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for gradient in (gradient for group in gradients for gradient in group):
        gradient.copy_(flat[: gradient.numel()].view_as(gradient))
        flat = flat[gradient.numel() :]


TASK = Task(module=DDPG, data=ReplayData, monitor="val/return", mode="max")
