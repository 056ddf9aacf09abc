"""R-max: a model learned by counting and solved by dynamic programming; exploration takes the unknown to be worth most.

Sources: Brafman & Tennenholtz 2002 (R-max); Auer et al. 2009 (the model is solved again whenever the visits of a state
and action have doubled). Deviations: counting goes on after a state and action is known; the policy that is evaluated
is the solution of all counts, without optimism.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

from annotated_types import Ge
from torch import Tensor

from lab.rl.tabular.data import TabularData, Transition
from lab.rl.tabular.exploration import Exploration
from lab.rl.tabular.mdp import MDP, Array, Outcome
from lab.rl.tabular.model_based.model import CountedModel
from lab.rl.tabular.online import OnlineAgent
from lab.task import Task, Unit


class RMax(OnlineAgent):
    """Learns a model of an environment with few states, and acts in training by its optimistic solution.

    Args:
        gamma: discount of the return per step.
        known_visits: visits from which on exploration believes the outcomes of a state and action.
        initial_value: value of a state and action with fewer visits, to explore: the largest return that there may be.
        finite_horizon: values for each number of remaining steps, so that the policy takes the time limit into account.
    """

    optimistic: Tensor

    def __init__(
        self,
        env: str,
        sizes: list[int],
        starts: list[int],
        actions: int,
        horizon: int,
        gamma: Unit = 1.0,
        known_visits: Annotated[int, Ge(1)] = 100,
        initial_value: float = 1.0,
        finite_horizon: bool = True,
    ) -> None:
        super().__init__(
            env, sizes, starts, actions, horizon, lr=1.0, lr_decay=0.0, gamma=gamma, initial_value=initial_value,
            finite_horizon=finite_horizon, exploration=Exploration("epsilon_greedy"),
        )  # fmt: skip
        self.save_hyperparameters()
        self.known_visits, self.unknown = known_visits, [(1.0, 0, initial_value, True)]  # it ends the episode
        self.register_buffer("optimistic", self.table.detach().clone())  # by which it acts in training
        self.model = CountedModel()

    def act(self, state: int) -> int:
        return self.exploration.choose(self.optimistic[-1, state].tolist(), [], self.exploring)

    def learn(self, transition: Transition) -> None:
        state, action, reward, following, terminated, _ = transition
        self.errors.append(self.model.add(state, action, (reward, following, terminated)))
        doublings = math.log2(self.visit(state, action) / self.known_visits)
        if doublings >= 0 and doublings.is_integer():
            self.solve(self.optimistic.numpy(), self.known_visits, self.unknown)

    def training_step(self, batch: Iterator[Transition], batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        self.solve(self.table.detach().numpy(), known_visits=1, unknown=[])
        return loss

    def solve(self, table: Array, known_visits: int, unknown: list[Outcome]) -> None:
        """Sets `table` to the values of the learned model, in which an action with fewer visits has other outcomes."""
        states, actions = self.counts.shape
        every = [
            [
                self._outcomes(state, action) if self.counts[state, action] >= known_visits else unknown
                for action in range(actions)
            ]
            for state in range(states)
        ]
        process = MDP(every, start=[])
        if not self.finite_horizon:
            table[0] = process.optimal_action_values(self.gamma)
            return
        for layer in range(self.horizon):
            table[layer + 1] = process.backup(table[layer].max(-1), self.gamma)

    def _outcomes(self, state: int, action: int) -> list[Outcome]:
        """Probability, next state, reward, terminated, as they were counted."""
        outcomes = self.model.outcomes[state, action]
        total = outcomes.total()
        return [(count / total, following, reward, ended) for (reward, following, ended), count in outcomes.items()]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["outcomes"] = self.model.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.model.load(checkpoint["outcomes"])


TASK = Task(module=RMax, data=TabularData, monitor="val/return", mode="max")
