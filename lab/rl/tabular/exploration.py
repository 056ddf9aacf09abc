"""Exploration in a table: which action is taken, and the bonus that a transition may earn besides its reward.

Sources: Sutton & Barto 2018, chapters 2 and 8; Auer et al. 2002 (UCB1); Strehl & Littman 2008 (counts: a bonus that
falls with the root of the visits is learnt into the values); Schmidhuber 1991 (curiosity: the bonus is how wrong a
learned model of the next state was).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Literal

Kind = Literal["epsilon_greedy", "boltzmann", "ucb", "counts", "curiosity"]


class Exploration:
    """Chooses actions from the values and visits of one state.

    >>> Exploration("ucb", bonus=1.0).choose([0.5, 0.4], visits=[90.0, 10.0], progress=0.0)
    1

    Args:
        kind: which one; `counts` and `curiosity` are greedy in values that contain their bonus.
        epsilon: first probability of a random action.
        final_epsilon: last one.
        fraction: share of the run in which it falls linearly.
        temperature: of `boltzmann`.
        bonus: coefficient of `ucb`, `counts` and `curiosity`.
    """

    def __init__(
        self,
        kind: Kind,
        epsilon: float = 0.0,
        final_epsilon: float = 0.0,
        fraction: float = 1.0,
        temperature: float = 1.0,
        bonus: float = 1.0,
    ) -> None:
        self.kind, self.epsilon, self.final_epsilon, self.fraction = kind, epsilon, final_epsilon, fraction
        self.temperature, self.coefficient = temperature, bonus

    def epsilon_at(self, progress: float) -> float:
        """The probability of a random action when a share `progress` of the run is over."""
        if self.kind != "epsilon_greedy":
            return 0.0
        return self.epsilon + (self.final_epsilon - self.epsilon) * min(1.0, progress / self.fraction)

    def choose(self, values: Sequence[float], visits: Sequence[float], progress: float) -> int:
        """An action; equal values are equally likely."""
        if self.kind == "boltzmann":
            return random.choices(range(len(values)), self._softmax(values))[0]
        if random.random() < self.epsilon_at(progress):
            return random.randrange(len(values))
        if self.kind == "ucb":
            values = self._upper_bounds(values, visits)
        best = max(values)
        among = [action for action, value in enumerate(values) if value == best]
        return among[0] if len(among) == 1 else random.choice(among)

    def probabilities(self, values: Sequence[float], visits: Sequence[float], progress: float) -> list[float]:
        """The probability of each action, with which `choose` samples."""
        if self.kind == "boltzmann":
            return self._softmax(values)
        epsilon = self.epsilon_at(progress)
        if self.kind == "ucb":
            values = self._upper_bounds(values, visits)
        best = max(values)
        greedy = (1 - epsilon) / sum(value == best for value in values)
        return [epsilon / len(values) + greedy * (value == best) for value in values]

    def bonus(self, visits: float, surprise: float) -> float:
        """The bonus that a transition earns besides its reward.

        Args:
            visits: of its state and action, this one included.
            surprise: probability that the learned model gave to other next states than the one that came.
        """
        if self.kind == "counts":
            return self.coefficient / math.sqrt(visits)
        return self.coefficient * surprise if self.kind == "curiosity" else 0.0

    def _softmax(self, values: Sequence[float]) -> list[float]:
        highest = max(values)
        weights = [math.exp((value - highest) / self.temperature) for value in values]
        total = sum(weights)
        return [weight / total for weight in weights]

    def _upper_bounds(self, values: Sequence[float], visits: Sequence[float]) -> list[float]:
        every = math.log(max(1.0, sum(visits)))
        return [
            value + self.coefficient * math.sqrt(every / count) if count else math.inf
            for value, count in zip(values, visits, strict=True)
        ]
