"""Monte Carlo control: values are averages of the returns of whole episodes.

Source: Sutton & Barto 2018, chapter 5; exploring starts are `data.exploring_starts`. Nothing is learnt before an
episode ends; one that its time limit cuts off counts as it is.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from lab.rl.tabular.data import TabularData, Transition
from lab.rl.tabular.exploration import Exploration, Kind
from lab.rl.tabular.online import OnlineAgent
from lab.task import Task, Unit


class MonteCarlo(OnlineAgent):
    """Monte Carlo control, on policy.

    Args:
        first_visit: learn from the first visit of a state and action in an episode, not from every one.
    """

    def __init__(
        self,
        env: str,
        sizes: list[int],
        starts: list[int],
        actions: int,
        horizon: int,
        first_visit: bool = True,
        lr: Annotated[float, Gt(0), Le(1)] = 1.0,
        lr_decay: Unit = 1.0,
        gamma: Unit = 1.0,
        initial_value: float = 0.0,
        exploration: Kind = "epsilon_greedy",
        epsilon: Unit = 1.0,
        final_epsilon: Unit = 0.1,
        exploration_fraction: Annotated[float, Gt(0), Le(1)] = 0.5,
        temperature: Annotated[float, Gt(0)] = 1.0,
        bonus: Annotated[float, Ge(0)] = 1.0,
    ) -> None:
        explores = Exploration(exploration, epsilon, final_epsilon, exploration_fraction, temperature, bonus)
        super().__init__(env, sizes, starts, actions, horizon, lr, lr_decay, gamma, initial_value, False, explores)
        self.save_hyperparameters()
        self.first_visit = first_visit

    def learn(self, transition: Transition) -> None:
        state, action, reward, *_, over = transition
        self.episode.append((state, action, reward))
        if not over:
            return
        first = {pair: step for step, pair in reversed(list(enumerate((s, a) for s, a, _ in self.episode)))}
        total = 0.0
        for step in reversed(range(len(self.episode))):
            state, action, reward = self.episode[step]
            total = reward + self.gamma * total
            if not self.first_visit or first[state, action] == step:
                visits = self.visit(state, action)
                error = total + self.exploration.bonus(visits, 0.0) - float(self.after[0, state, action])
                self.after[0, state, action] += self.step_size(visits) * error
                self.errors.append(error)
        self.episode = []


TASK = Task(module=MonteCarlo, data=TabularData, monitor="val/return", mode="max")
