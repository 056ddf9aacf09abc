"""A model of the environment by counting: how often each next state and reward followed a state and an action."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

Outcome = tuple[float, int, bool]  # reward, next state, terminated


class CountedModel:
    """The outcomes that were seen of each state and action.

    >>> model = CountedModel()
    >>> model.add(0, 1, (1.0, 2, True)), model.add(0, 1, (1.0, 2, True))  # the probability that it was another outcome
    (1.0, 0.0)
    >>> model.sample()
    (0, 1, (1.0, 2, True))

    Args:
        latest_only: forget what an action led to before, for an environment without chance that changes.
    """

    def __init__(self, latest_only: bool = False) -> None:
        self.latest_only = latest_only
        self.seen: list[tuple[int, int]] = []  # in the order in which they came, to sample from
        self.outcomes: dict[tuple[int, int], Counter[Outcome]] = {}

    def add(self, state: int, action: int, outcome: Outcome) -> float:
        """Counts an outcome; returns the probability that the model had given to all others."""
        counts = self.outcomes.get((state, action))
        if counts is None:
            self.seen.append((state, action))
            counts = self.outcomes[state, action] = Counter()
        total = counts.total()
        surprise = 1 - counts[outcome] / total if total else 1.0
        if self.latest_only:
            counts.clear()
        counts[outcome] += 1
        return surprise

    def sample(self) -> tuple[int, int, Outcome]:
        """Any state and action that were seen, and one of their outcomes, as often as it came."""
        state, action = random.choice(self.seen)
        counts = self.outcomes[state, action]
        outcomes = list(counts)
        outcome = outcomes[0] if len(outcomes) == 1 else random.choices(outcomes, list(counts.values()))[0]
        return state, action, outcome

    def state(self) -> list[Any]:
        """All of it as plain values."""
        return [[*pair, [[*outcome, count] for outcome, count in self.outcomes[pair].items()]] for pair in self.seen]

    def load(self, state: list[Any]) -> None:
        """The counterpart of `state`."""
        self.seen = [(first, action) for first, action, _ in state]
        self.outcomes = {
            (first, action): Counter({(reward, to, over): count for reward, to, over, count in outcomes})
            for first, action, outcomes in state
        }
