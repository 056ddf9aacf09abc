"""Monte Carlo tree search with the true model: of each state's actions, which begins best?

Sources: Kocsis & Szepesvári 2006, "Bandit based Monte-Carlo planning" (UCT: actions in the tree are chosen by upper
confidence bounds); Keller & Helmert 2013, "Trial-based heuristic tree search for finite horizon MDPs" (DP-UCT: on the
way back values are those of the best action and the mean over what it leads to, by the model, so that the cost of
exploring actions is in no value). A node is a state at a depth, so that ways which lead to the same one share it; the
tree ends at `tree_depth`, and from there on actions are random, as they are after a new node.
"""

from __future__ import annotations

import math
import random
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Gt
from torch import Tensor

from lab.rl.tabular.dynamic_programming import SweepAgent, SweepData
from lab.rl.tabular.mdp import MDP, Array
from lab.task import Task, Unit


class MCTS(SweepAgent):
    """Searches from every state in which something can be done; a sweep adds simulations to the tree of each state.

    `test/return_random_shooting` is the exact return of a planner without a tree, which simulates as many random
    sequences of actions from each state and takes the first action of the best one.

    Args:
        num_simulations: simulated episodes from each state in a sweep.
        tree_depth: steps that the tree knows; later ones are random.
        exploration: coefficient of the upper confidence bound; a few times the range of returns.
        gamma: discount of the return per step.
    """

    visits: Tensor
    estimates: Tensor
    node_visits: Tensor
    node_values: Tensor

    def __init__(
        self,
        env: str,
        sizes: list[int],
        starts: list[int],
        actions: int,
        horizon: int,
        num_simulations: Annotated[int, Gt(0)] = 100,
        tree_depth: Annotated[int, Gt(0)] = 20,
        exploration: Annotated[float, Ge(0)] = 1.0,
        gamma: Unit = 1.0,
    ) -> None:
        super().__init__(env, sizes, starts, actions, horizon, finite_horizon=False)
        self.save_hyperparameters()
        self.num_simulations, self.exploration, self.gamma = num_simulations, exploration, gamma
        states, depth = self.table.shape[1], min(tree_depth, horizon)
        shape = (states, depth, states, actions)  # of the tree of each state
        self.register_buffer("visits", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("estimates", torch.zeros(shape, dtype=torch.float64))  # of the return from there on
        nodes = (states, depth + 1, states)
        self.register_buffer("node_visits", torch.zeros(nodes, dtype=torch.int64))  # leaves included
        self.register_buffer("node_values", torch.zeros(nodes, dtype=torch.float64))  # of those that were visited

    @cached_property
    def model(self) -> Model:
        assert self.process is not None  # the data refuses an environment without
        return Model(self.process)

    def sweep(self) -> float:
        table: Array = self.table.detach().numpy()[0]
        before = table.copy()
        parts = self.visits, self.estimates, self.node_visits, self.node_values
        for root in self.model.roots:
            tree = Tree(*(part[root].numpy() for part in parts))
            for _ in range(self.num_simulations):
                self._simulate(root, tree)
            table[root] = tree.estimates[0, root]
        return float(np.abs(table - before).max())

    def _simulate(self, root: int, tree: Tree) -> None:
        """One episode: along the tree, to a new node, and at random; on the way back each value is backed up."""
        path: list[tuple[int, int]] = []
        state: int | None = root
        for depth in range(len(tree.visits)):
            if state is None:
                break
            action, is_new = self._choose(tree.visits[depth, state].tolist(), tree.estimates[depth, state].tolist())
            path.append((state, action))
            state = self.model.step(state, action, random.random())[1]
            if is_new:
                break
        if state is not None:
            found = self.model.rollout(state, self.horizon - len(path), self.gamma, random)
            tree.add(len(path), state, found)
        for depth, (state, action) in reversed(list(enumerate(path))):
            reward, following = self.model.outcomes[state][action]
            known = [(weight, to) for weight, to in following if tree.node_visits[depth + 1, to]]
            total = sum(weight * tree.node_values[depth + 1, to] for weight, to in known)
            share = sum(weight for weight, _ in known) / max(sum(weight for weight, _ in following), 1e-12)
            tree.visits[depth, state, action] += 1
            tree.estimates[depth, state, action] = reward + self.gamma * total / (share or 1.0)
            tried = tree.visits[depth, state] > 0
            tree.node_values[depth, state] = tree.estimates[depth, state][tried].max()
            tree.node_visits[depth, state] += 1

    def _choose(self, visits: list[int], estimates: list[float]) -> tuple[int, bool]:
        """An action, and whether it is taken for the first time."""
        untried = [action for action, count in enumerate(visits) if not count]
        if untried:
            return random.choice(untried), True
        every = math.log(sum(visits))
        bounds = [
            value + self.exploration * math.sqrt(every / count) for value, count in zip(estimates, visits, strict=True)
        ]
        return bounds.index(max(bounds)), False

    def evaluate(self, stage: str, starts: list[int]) -> dict[str, float]:
        metrics = super().evaluate(stage, starts)
        if stage == "test":
            chosen = np.zeros((1, self.model.states), np.int64)
            for root in self.model.roots:
                chosen[0, root] = self._shoot(root, int(self.visits[root, 0, root].sum()))
            metrics["test/return_random_shooting"] = self.model.process.policy_return(chosen, self.horizon)
        return metrics

    def _shoot(self, root: int, sequences: int) -> int:
        """The first action of the best of so many random sequences, each of which is simulated once."""
        chance = random.Random(root)  # those of the training stay as they are
        best, chosen = -math.inf, 0
        for _ in range(sequences):
            action = chance.randrange(self.model.actions)
            total, following = self.model.step(root, action, chance.random())
            if following is not None:
                total += self.gamma * self.model.rollout(following, self.horizon - 1, self.gamma, chance)
            if total > best:
                best, chosen = total, action
        return chosen


class Tree(NamedTuple):
    """The tree of one state, as memory that is changed: depth D, states S, actions A.

    Args:
        visits: how often each action was taken, (D, S, A).
        estimates: of its return from there on, (D, S, A).
        node_visits: visits of each node, (D + 1, S).
        node_values: value of each node that was visited, (D + 1, S).
    """

    visits: Array
    estimates: Array
    node_visits: Array
    node_values: Array

    def add(self, depth: int, state: int, found: float) -> None:
        """Takes the return of random actions from a leaf on into the mean of those there."""
        self.node_visits[depth, state] += 1
        self.node_values[depth, state] += (found - self.node_values[depth, state]) / self.node_visits[depth, state]


class Outcomes(NamedTuple):
    """What an action leads to: its mean reward, next states with their probabilities; the rest ends the episode."""

    reward: float
    following: list[tuple[float, int]]


class Model:
    """A process to be sampled from.

    >>> coin = Model(MDP([[[(0.5, 0, 0.0, False), (0.5, 0, 1.0, True)]]], start=[1.0]))
    >>> coin.step(0, 0, chance=0.4), coin.step(0, 0, chance=0.6)
    ((0.5, 0), (0.5, None))

    Args:
        process: of the environment.
    """

    def __init__(self, process: MDP) -> None:
        self.process, self.states, self.actions = process, process.states, process.actions
        self.outcomes = [
            [
                Outcomes(
                    float(process.reward[state, action]),
                    [
                        (float(weight), int(to))
                        for weight, to in zip(
                            process.going_on[state, action], process.following[state, action], strict=True
                        )
                        if weight > 0
                    ],
                )
                for action in range(self.actions)
            ]
            for state in range(self.states)
        ]
        acts = (process.going_on.sum(-1) + np.abs(process.reward)).sum(-1) > 0
        self.roots: list[int] = np.flatnonzero(acts).tolist()  # where something can be done

    def step(self, state: int, action: int, chance: float) -> tuple[float, int | None]:
        """The reward and the next state, None where the episode ends; `chance` is uniform from 0 to 1."""
        outcomes = self.outcomes[state][action]
        for weight, following in outcomes.following:
            chance -= weight
            if chance < 0:
                return outcomes.reward, following
        return outcomes.reward, None

    def rollout(self, state: int | None, steps: int, gamma: float, chance: Any) -> float:
        """The return of random actions for at most so many steps; `chance` is `random` or a generator of its kind."""
        total, discount = 0.0, 1.0
        for _ in range(steps):
            if state is None:
                break
            reward, state = self.step(state, int(chance.random() * self.actions), chance.random())
            total, discount = total + discount * reward, discount * gamma
        return total


TASK = Task(module=MCTS, data=SweepData, monitor="val/return", mode="max")
