"""Shared by tabular agents that learn from each transition as it comes: acting, step sizes, a batch of transitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lab.rl.common.agent import mean_or_nothing
from lab.rl.tabular.agent import TabularAgent
from lab.rl.tabular.data import Transition
from lab.rl.tabular.exploration import Exploration


class OnlineAgent(TabularAgent):
    """A tabular agent that learns from each transition as it comes.

    Args:
        lr: step size; 1 replaces a value by its target.
        lr_decay: exponent of the step size `lr` / visits ** `lr_decay` of each state and action; 0 is a constant one.
        gamma: discount of the return per step.
        initial_value: of all actions; larger than any return it is optimistic, and every action is tried.
        exploration: `epsilon_greedy`; `boltzmann`: softmax of values divided by `temperature`; `ucb`: upper confidence
            bounds; `counts`: a bonus that falls with the root of the visits is added to the rewards; `curiosity`: so is
            the error of a learned model.
        epsilon: initial probability of a random action; if `epsilon_greedy`.
        final_epsilon: final probability of a random action.
        exploration_fraction: fraction of the run over which the probability decreases linearly.
        temperature: of `boltzmann`.
        bonus: coefficient of `ucb`, `counts` and `curiosity`.
    """

    visits: Tensor

    def __init__(
        self,
        env: str,
        sizes: list[int],
        starts: list[int],
        actions: int,
        horizon: int,
        lr: float,
        lr_decay: float,
        gamma: float,
        initial_value: float,
        finite_horizon: bool,
        exploration: Exploration,
    ) -> None:
        super().__init__(env, sizes, starts, actions, horizon, finite_horizon)
        self.lr, self.lr_decay, self.gamma, self.exploration = lr, lr_decay, gamma, exploration
        torch.nn.init.constant_(self.table[1:] if finite_horizon else self.table, initial_value)
        self.register_buffer("visits", torch.zeros(self.table.shape[1:], dtype=torch.float64))  # (S, A)
        self.errors: list[float] = []  # of the present batch
        self.episode: list[Any] = []  # what Monte Carlo keeps of each step of the present episode, until it ends
        self.exploring = 0.0  # the share of the run that is over

    def act(self, state: int) -> int:
        """The next action of training."""
        return self.exploration.choose(*self._of(state), self.exploring)

    def learn(self, transition: Transition) -> None:
        """Changes the table by one transition."""
        raise NotImplementedError

    def visit(self, state: int, action: int) -> float:
        """Counts a visit; how many there are now."""
        self.counts[state, action] += 1
        return float(self.counts[state, action])

    def step_size(self, visits: float) -> float:
        """The size of the step towards a target, from 1 visit on."""
        return self.lr / visits**self.lr_decay if self.lr_decay else self.lr

    def training_step(self, batch: Iterator[Transition], batch_idx: int) -> Tensor:  # noqa: ARG002 - Lightning's
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        self.counts, self.errors = self.visits.numpy(), []
        self.before, self.after = self.values
        optimizer: Any = self.optimizers()

        def closure() -> None:
            for number, transition in enumerate(batch):
                self.exploring = (data.env_steps + number) / data.total_steps
                self.learn(transition)

        optimizer.step(closure)
        self.env_steps = data.env_steps
        self.recent_returns += data.ended
        loss = float(sum(error * error for error in self.errors) / max(1, len(self.errors)))
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and self.trainer.global_step % every == 0:
            metrics = {"loss/td": loss, "epsilon": self.exploration.epsilon_at(self.exploring)}
            metrics |= mean_or_nothing(self.recent_returns, "train/return")
            self.log_dict(metrics | dict.fromkeys(("env_steps", "step"), float(self.env_steps)), batch_size=1)
            self.recent_returns = []
        return torch.tensor(loss)

    def _of(self, state: int) -> tuple[list[float], list[float]]:
        """Values, with all steps left, and visits of a state."""
        return self.after[-1, state].tolist(), self.counts[state].tolist()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["exploring"], checkpoint["episode"] = self.exploring, list(self.episode)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.exploring, self.episode = checkpoint["exploring"], list(checkpoint["episode"])
