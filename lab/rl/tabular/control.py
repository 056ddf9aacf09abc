"""Temporal-difference control: Q-learning, SARSA and expected SARSA, with planning (Dyna-Q) as a switch.

Sources: Watkins 1989 (Q-learning); Rummery & Niranjan 1994 (SARSA); van Seijen et al. 2009 (expected SARSA); Sutton
1990 (Dyna-Q); De Asis et al. 2020 (`finite_horizon`: values for each number of remaining steps, all learnt from every
transition). An action is learnt from before the next one is taken.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from lab.errors import BadSetting
from lab.rl.tabular.data import TabularData, Transition
from lab.rl.tabular.exploration import Exploration, Kind
from lab.rl.tabular.model_based.model import CountedModel
from lab.rl.tabular.online import OnlineAgent
from lab.task import Task, Unit


class TDControl(OnlineAgent):
    """One-step temporal-difference control.

    Args:
        algorithm: the target of a value: `q_learning`, the next state's greatest value; `sarsa`, that of the next
            action; `expected_sarsa`, the mean over the next actions.
        planning_steps: updates with transitions of a learned model after each real one (Dyna-Q).
        latest_outcome: the model knows what an action led to last alone, as in Sutton's Dyna-Q, so that it follows an
            environment that changes; else how often each outcome came, as chance needs it.
        finite_horizon: values for each number of remaining steps, so that the policy takes the time limit into account;
            with `q_learning`.
    """

    def __init__(
        self,
        env: str,
        sizes: list[int],
        starts: list[int],
        actions: int,
        horizon: int,
        algorithm: Literal["q_learning", "sarsa", "expected_sarsa"] = "q_learning",
        lr: Annotated[float, Gt(0), Le(1)] = 0.1,
        lr_decay: Unit = 0.0,
        gamma: Unit = 0.99,
        planning_steps: Annotated[int, Ge(0)] = 0,
        latest_outcome: bool = False,
        initial_value: float = 0.0,
        finite_horizon: bool = False,
        exploration: Kind = "epsilon_greedy",
        epsilon: Unit = 1.0,
        final_epsilon: Unit = 0.1,
        exploration_fraction: Annotated[float, Gt(0), Le(1)] = 0.5,
        temperature: Annotated[float, Gt(0)] = 1.0,
        bonus: Annotated[float, Ge(0)] = 1.0,
    ) -> None:
        explores = Exploration(exploration, epsilon, final_epsilon, exploration_fraction, temperature, bonus)
        super().__init__(
            env, sizes, starts, actions, horizon, lr, lr_decay, gamma, initial_value, finite_horizon, explores
        )
        self.save_hyperparameters()
        if finite_horizon and algorithm != "q_learning":
            raise BadSetting("finite_horizon", f"expected false for {algorithm}, whose target is the present policy's")
        self.algorithm, self.planning_steps = algorithm, planning_steps
        self.model = CountedModel(latest_outcome)
        self.remembers = bool(planning_steps) or exploration == "curiosity"
        self.next_action: int | None = None  # of SARSA, chosen before its state was learnt from

    def act(self, state: int) -> int:
        action, self.next_action = self.next_action, None
        return super().act(state) if action is None else action

    def learn(self, transition: Transition) -> None:
        state, action, reward, following, terminated, over = transition
        surprise = self.model.add(state, action, (reward, following, terminated)) if self.remembers else 0.0
        visits = self.visit(state, action)
        reward += self.exploration.bonus(visits, surprise)
        self.errors.append(self.update(state, action, reward, following, terminated, self.step_size(visits)))
        if over:
            self.next_action = None  # it was chosen for a target only
        kept = self.next_action
        for _ in range(self.planning_steps):
            state, action, (reward, following, terminated) = self.model.sample()
            visits = float(self.counts[state, action])
            reward += self.exploration.bonus(visits, 0.0)
            self.update(state, action, reward, following, terminated, self.step_size(visits))
        self.next_action = kept

    def update(self, state: int, action: int, reward: float, following: int, terminated: bool, size: float) -> float:
        """One step of a value towards its target; returns the error, with all steps left."""
        target: Any = reward
        if not terminated:
            target = reward + self.gamma * self.next_value(following)
        error = target - self.after[:, state, action]
        self.after[:, state, action] += size * error
        return float(error[-1])

    def next_value(self, following: int) -> Any:
        """Value of the next state in each layer (L,)."""
        if self.algorithm == "q_learning":
            return self.before[:, following].max(-1)
        values, visits = self._of(following)
        if self.algorithm == "sarsa":
            self.next_action = self.exploration.choose(values, visits, self.exploring)
            return values[self.next_action]
        chances = self.exploration.probabilities(values, visits, self.exploring)
        return sum(chance * value for chance, value in zip(chances, values, strict=True))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["next_action"], checkpoint["outcomes"] = self.next_action, self.model.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.next_action = checkpoint["next_action"]
        self.model.load(checkpoint["outcomes"])


TASK = Task(module=TDControl, data=TabularData, monitor="val/return", mode="max")
