"""Q-learning over options: policies that are followed for several steps before the next choice.

Sources: Sutton, Precup & Singh 1999, "Between MDPs and semi-MDPs: a framework for temporal abstraction in reinforcement
learning", sections 2 and 3; Bradtke & Duff 1995 (Q-learning in semi-Markov processes). Of an option that took k
steps from s to s' and earned R = r_1 + gamma r_2 + ..., the target is R + gamma^k max_o Q(s', o).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Gt, Le
from torch import Tensor

from lab.errors import BadSetting
from lab.rl.common import evaluation
from lab.rl.tabular import plots
from lab.rl.tabular.data import TabularData, Transition
from lab.rl.tabular.exploration import Exploration
from lab.rl.tabular.mdp import MDP, Actions, Array
from lab.rl.tabular.online import OnlineAgent
from lab.task import Task, Unit


class SMDPQLearning(OnlineAgent):
    """Q-learning over the environment's options, with its own actions as options of one step.

    The greedy policy that is evaluated follows each option to its end, as in training; its return is exact.

    Args:
        options: action of each option in each state, -1 where it neither starts nor goes on.
        use_options: choose among the options; without them it is Q-learning.
        primitive_actions: choose among the environment's own actions.
    """

    moves: Tensor

    def __init__(
        self,
        env: str,
        sizes: list[int],
        starts: list[int],
        actions: int,
        horizon: int,
        options: list[list[int]],
        use_options: bool = True,
        primitive_actions: bool = True,
        lr: Annotated[float, Gt(0), Le(1)] = 0.1,
        gamma: Unit = 0.99,
        initial_value: float = 0.0,
        epsilon: Unit = 0.1,
        final_epsilon: Unit = 0.1,
        exploration_fraction: Annotated[float, Gt(0), Le(1)] = 0.5,
    ) -> None:
        if not use_options and not primitive_actions:
            raise BadSetting("use_options", "there is nothing to choose from without options and primitive actions")
        states = len(options[0])
        primitive = [[action] * states for action in range(actions)] if primitive_actions else []
        rows = [*primitive, *(options if use_options else [])]
        explores = Exploration("epsilon_greedy", epsilon, final_epsilon, exploration_fraction)
        super().__init__(env, sizes, starts, len(rows), horizon, lr, 0.0, gamma, initial_value, False, explores)
        self.save_hyperparameters()
        self.num_actions, self.num_primitive = actions, len(primitive)
        self.register_buffer("moves", torch.tensor(rows).T.contiguous(), persistent=False)  # (S, O)
        self.available = [[o for o, move in enumerate(row) if move >= 0] for row in self.moves.tolist()]
        self.option: int | None = None  # that is followed
        self.began, self.earned, self.discount = 0, 0.0, 1.0  # its first state, discounted rewards, gamma^k

    def forward(self, observation: Tensor) -> Tensor:
        """First actions (B,) of the greedy options for observations (B,) or (B, parts)."""
        states = self._index(observation)
        return self.moves[states, self._greedy()[states]]

    def policy(self) -> Actions:
        """First actions (1, S) of the greedy options; 0 where there is none."""
        first: Actions = self.moves.gather(1, self._greedy()[:, None]).clamp(min=0).T.numpy()
        return first

    def evaluate(self, stage: str, starts: list[int]) -> dict[str, float]:
        process = self.process
        if process is None:  # then episodes are played, with a new choice in every step
            return super().evaluate(stage, starts)
        found = option_return(process, self.moves.numpy(), self._greedy().numpy(), self.num_primitive, self.horizon)
        metrics = {f"{stage}/return": found}
        if stage == "test":
            metrics["test/optimality_gap"] = process.optimal_return(self.horizon) - found
        return metrics

    def play(self, video: Path, seed: int) -> float:
        greedy, option = self._greedy().tolist(), -1

        def act(observation: Tensor) -> Tensor:
            nonlocal option
            state = int(self._index(observation)[0])
            if option < self.num_primitive or self.moves[state, option] < 0:
                option = greedy[state]
            return self.moves[state, option].view(1)

        return evaluation.record_video(act, self.env_factory, seed, self.device, video)

    def act(self, state: int) -> int:
        if self.option is None:
            among = self.available[state]
            values, visits = self._of(state)
            place = self.exploration.choose([values[o] for o in among], [visits[o] for o in among], self.exploring)
            self.option, self.began, self.earned, self.discount = among[place], state, 0.0, 1.0
        return int(self.moves[state, self.option])

    def learn(self, transition: Transition) -> None:
        _, _, reward, following, terminated, over = transition
        option = self.option
        assert option is not None  # `act` chose it
        self.earned += self.discount * reward
        self.discount *= self.gamma
        if not over and option >= self.num_primitive and self.moves[following, option] >= 0:
            return  # it goes on
        target = self.earned
        if not terminated:
            target += self.discount * float(self.after[0, following, self.available[following]].max())
        error = target - float(self.after[0, self.began, option])
        self.after[0, self.began, option] += self.step_size(self.visit(self.began, option)) * error
        self.errors.append(error)
        self.option = None

    def _greedy(self) -> Tensor:
        """The best option (S,) among those that can be chosen in each state."""
        return torch.where(self.moves >= 0, self.table[0].detach(), -torch.inf).argmax(-1)

    def draw(self) -> None:
        best = self.table[0].detach().gather(1, self._greedy()[:, None]).numpy()
        values: Array = np.repeat(best, self.num_actions, axis=1) - 1
        values[np.arange(len(values)), self.policy()[0]] += 1
        plots.draw_table(self, self.env_factory.for_evaluation(1)[0], values)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["option"] = [self.option, self.began, self.earned, self.discount]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.option, self.began, self.earned, self.discount = checkpoint["option"]


def option_return(process: MDP, moves: Actions, greedy: Actions, num_primitive: int, horizon: int) -> float:
    """Expected undiscounted return in at most `horizon` steps of a policy that follows each option to its end.

    Args:
        process: of the environment.
        moves: actions (S, O), -1 where an option neither starts nor goes on.
        greedy: the option (S,) that is chosen in each state.
        num_primitive: how many of the options, the first ones, end after one step.
        horizon: time limit of an episode.
    """
    places = np.indices(moves.shape)
    states, options = places[0], places[1]
    following = process.following[states, moves]  # (S, O, K)
    goes_on = (moves >= 0)[following, options[..., None]] & (options[..., None] >= num_primitive)
    then = np.where(goes_on, options[..., None], greedy[following])
    value = np.zeros(moves.shape)
    for _ in range(horizon):
        value = process.reward[states, moves] + (process.going_on[states, moves] * value[following, then]).sum(-1)
    return float(process.start @ value[np.arange(len(value)), greedy])


class OptionData(TabularData):
    """The same as `TabularData`, of an environment with options.

    >>> OptionData("lab.rl.tabular.hierarchy.four_rooms:FourRooms-v0", total_steps=1_000).facts()["actions"]
    4
    """

    def facts(self) -> dict[str, Any]:
        """Those of `TabularData`, and `options`, an attribute of the environment.

        Raises:
            BadSetting: the environment has none.
        """
        facts = super().facts()
        options = getattr(self.env_factory.for_evaluation(1)[0].unwrapped, "options", None)
        if not options:
            known = "lab.rl.tabular.hierarchy.four_rooms:FourRooms-v0"
            raise BadSetting("env", f"{self.env!r} has no `options`, as {known} has: use task=td_control")
        return facts | {"options": options}


TASK = Task(module=SMDPQLearning, data=OptionData, monitor="val/return", mode="max")
