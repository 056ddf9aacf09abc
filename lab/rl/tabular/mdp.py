"""Markov decision processes with known tables, solved by dynamic programming.

Sources: Bellman 1957; Howard 1960 (policy iteration); Sutton & Barto 2018, chapter 4. A process may have one action in
every state: then it is a Markov reward process, and its value the solution of v = r + gamma P v.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.toy_text import BlackjackEnv
from numpy.typing import NDArray

from lab.errors import BadSetting
from lab.rl.envs.factory import EnvFactory
from lab.rl.tabular import blackjack

Array = NDArray[np.float64]
Actions = NDArray[np.int64]
Outcome = tuple[float, int, float, bool]  # probability, next state, reward, terminated: an entry of Gymnasium's tables

TOLERANCE, MOST_SWEEPS = 1e-12, 100_000  # of values that are iterated until they change no more
START_SEEDS = 1_000  # resets that estimate the start states of an environment that does not tell them


class MDP:
    """Transitions as arrays (S, A, K): each action has K outcomes, some of probability 0.

    >>> coin = MDP([[[(0.5, 0, 0.0, False), (0.5, 0, 1.0, True)]]], start=[1.0])  # toss until heads, which earns 1
    >>> float(coin.policy_value(np.ones((1, 1)), gamma=0.5)[0])  # v = 0.5 (0.5 v) + 0.5
    0.6666666666666666
    >>> float(coin.optimal_return(horizon=2))
    0.75

    Args:
        table: the outcomes of each action of each state.
        start: probability of each state to be the first of an episode.
        observed: the state as which each state is observed; by default itself.
    """

    def __init__(
        self,
        table: Sequence[Sequence[Sequence[Outcome]]],
        start: Sequence[float] | Array,
        observed: Actions | None = None,
    ) -> None:
        self.states, self.actions = len(table), len(table[0])
        most = max(len(outcomes) for row in table for outcomes in row)
        shape = (self.states, self.actions, most)
        self.following = np.zeros(shape, np.int64)
        self.going_on = np.zeros(shape)  # probability of an outcome after which the episode goes on
        self.reward = np.zeros(shape[:2])  # mean over the outcomes
        for state, row in enumerate(table):
            for action, outcomes in enumerate(row):
                for k, (probability, following, reward, terminated) in enumerate(outcomes):
                    self.following[state, action, k] = following
                    self.going_on[state, action, k] = 0.0 if terminated else probability
                    self.reward[state, action] += probability * reward
        self.start = np.asarray(start, np.float64)
        self.observed = np.arange(self.states) if observed is None else observed

    def backup(self, value: Array, gamma: float = 1.0) -> Array:
        """Bellman backup: values (..., S) -> values of the actions (..., S, A)."""
        backed_up: Array = self.reward + gamma * (self.going_on * value[..., self.following]).sum(-1)
        return backed_up

    def policy_return(self, actions: Actions, horizon: int) -> float:
        """Expected undiscounted return of a policy in at most `horizon` steps, from the start states.

        Args:
            actions: the action in each observed state (1, S), or (horizon, S): with one step left, two, and so on.
            horizon: time limit of an episode.
        """
        value, every, actions = np.zeros(self.states), np.arange(self.states), actions[:, self.observed]
        for left in range(horizon):
            value = self.backup(value)[every, actions[min(left, len(actions) - 1)]]
        return float(self.start @ value)

    def optimal_return(self, horizon: int) -> float:
        """The largest expected return in at most `horizon` steps, which may take a policy that counts its steps."""
        value = np.zeros(self.states)
        for _ in range(horizon):
            value = self.backup(value).max(-1)
        return float(self.start @ value)

    def policy_value(self, policy: Array, gamma: float) -> Array:
        """Values (S,) of a policy (S, A) of probabilities: the solution of v = r + gamma P v, without a time limit.

        With `gamma` 1 the policy has to end every episode.
        """
        weight = policy[:, :, None] * self.going_on  # (S, A, K)
        matrix = np.zeros((self.states, self.states))
        np.add.at(matrix, (np.arange(self.states)[:, None], self.following.reshape(self.states, -1)),
                  weight.reshape(self.states, -1))  # fmt: skip
        return np.linalg.solve(np.eye(self.states) - gamma * matrix, (policy * self.reward).sum(-1))

    def optimal_action_values(self, gamma: float) -> Array:
        """Q* (S, A) without a time limit, by value iteration until nothing changes."""
        values = np.zeros((self.states, self.actions))
        for _ in range(MOST_SWEEPS):
            values, before = self.backup(values.max(-1), gamma), values
            if np.abs(values - before).max() <= TOLERANCE * max(1.0, np.abs(values).max()):
                break
        return values


def process_of(factory: EnvFactory) -> MDP | None:
    """The process behind the environments of a factory; None without a table, or where wrappers may change it."""
    return None if factory.wrappers else transition_table(factory.for_evaluation(1)[0])


def transition_table(env: gym.Env[Any, Any]) -> MDP | None:
    """The process behind an environment, from `env.unwrapped.P` in Gymnasium's format; None where it has no such table.

    >>> transition_table(gym.make("CliffWalking-v1")).optimal_return(horizon=1_000)
    -13.0

    Raises:
        BadSetting: it has a table that describes no process.
    """
    inner: Any = env.unwrapped
    if isinstance(inner, BlackjackEnv):
        return MDP(*blackjack.transitions(inner.sab, inner.natural))
    table = getattr(inner, "P", None)
    if table is None or getattr(inner, "fickle_passenger", False):  # whose whims are in no table
        return None
    states, actions = int(inner.observation_space.n), int(inner.action_space.n)
    try:
        outcomes = [[list(table[state][action]) for action in range(actions)] for state in range(states)]
        check_outcomes(outcomes)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        words = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error)
        raise BadSetting("env", f"the table `P` of {type(inner).__name__} describes no transitions: {words}") from error
    return MDP(outcomes, start_states(env, states))


def check_outcomes(table: Sequence[Sequence[Sequence[Outcome]]]) -> None:
    """Whether all outcomes are (probability, next state, reward, terminated) and all probabilities sum to 1.

    Raises:
        ValueError: what is wrong, and where.
    """
    for state, row in enumerate(table):
        for action, outcomes in enumerate(row):
            total = sum(probability for probability, *_ in outcomes)
            where = f"of state {state}, action {action}"
            if abs(total - 1) > 1e-6:
                raise ValueError(f"the probabilities {where} sum to {total:g}")
            for _, following, reward, _ in outcomes:
                if not 0 <= following < len(table) or not np.isfinite(reward):
                    raise ValueError(f"an outcome {where} leads to state {following} with reward {reward}")


def start_states(env: gym.Env[Any, Any], states: int) -> Array:
    """Probability (S,) of each start state: `initial_state_distrib` or `isd` of the environment, else from resets."""
    inner = env.unwrapped
    given = getattr(inner, "initial_state_distrib", getattr(inner, "isd", None))
    if given is not None and len(given) == states:
        return np.asarray(given, np.float64)
    found = [int(env.reset(seed=seed)[0]) for seed in range(START_SEEDS)]
    return np.bincount(found, minlength=states) / len(found)
