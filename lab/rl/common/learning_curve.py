"""A run's validations so far as two numbers: the area under the learning curve, and the steps to a threshold."""

from __future__ import annotations

from typing import Any


class LearningCurve:
    """The mean returns of validations at equal distances.

    >>> curve = LearningCurve()
    >>> curve.add(1_000, 100.0, threshold=150.0)
    {'val/return_auc': 100.0, 'val/steps_to_threshold': 1000.0}
    >>> curve.add(2_000, 200.0, threshold=150.0)
    {'val/return_auc': 150.0, 'val/steps_to_threshold': 2000.0}
    >>> curve.add(3_000, 120.0, threshold=150.0)
    {'val/return_auc': 140.0, 'val/steps_to_threshold': 2000.0}
    """

    def __init__(self) -> None:
        self.total, self.validations, self.steps, self.is_reached = 0.0, 0, 0, False

    def add(self, steps: int, mean_return: float, threshold: float | None) -> dict[str, float]:
        """Takes the next validation; returns the metrics.

        `val/return_auc` is the area under the curve divided by its length: the mean of all validations.
        `val/steps_to_threshold` is the step of the first one that reached the threshold. Before that it is the present
        step, so that a run that never reaches it has its whole length, and can still be compared.

        Args:
            steps: of the environment, or updates of an agent without one, at this validation.
            mean_return: of this validation.
            threshold: return that solves the environment; None if there is none, and then no steps to it.
        """
        self.total, self.validations = self.total + mean_return, self.validations + 1
        metrics = {"val/return_auc": self.total / self.validations}
        if threshold is not None:
            if not self.is_reached:
                self.steps, self.is_reached = steps, mean_return >= threshold
            metrics["val/steps_to_threshold"] = float(self.steps)
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
