"""Shared by agents that learn from recorded episodes alone."""

from __future__ import annotations

from typing import Any

from lab.rl.common.off_policy import OffPolicy
from lab.rl.envs.observations import Layout, ObservationSize

# environment -> the returns that a normalised score of 0 and of 100 stand for. D4RL's for MuJoCo, which are those of
# its random agent and its SAC agent; for the others the mean returns of `..._random` and of a solved task.
REFERENCE_RETURNS = {
    "Hopper-v5": (-20.272305, 3234.3),
    "HalfCheetah-v5": (-280.178953, 12135.0),
    "Walker2d-v5": (1.629008, 4592.3),
    "Pendulum-v1": (-1230.0, -140.0),
    "CartPole-v1": (22.0, 500.0),
}


class OfflineAgent(OffPolicy):
    """An agent that learns from an `OfflineData`. Statistics of the observations are those of all recorded ones.

    Besides the return, the test logs `test/normalized_score`, 0 for a random agent and 100 for an expert, where both
    are known, and `test/dataset_return`, the mean return of the episodes that were learned from.

    Args:
        normalize_observations: normalise observations that are no images to mean 0 and variance 1.
    """

    averages_gradients = False

    def on_fit_start(self) -> None:
        if self.observation_norm is not None and not int(self.updates):
            self.observation_norm.update(self.trainer.datamodule.observations)  # type: ignore[attr-defined]

    def num_updates(self, data: Any) -> int:
        return int(data.total_updates)

    def counters(self) -> dict[str, float]:
        return dict.fromkeys(("step", "updates"), float(self.updates))

    def evaluate(self, stage: str, starts: list[int]) -> dict[str, float]:
        metrics = super().evaluate(stage, starts)
        if stage == "test":
            metrics |= self.offline_metrics(metrics["test/return"])
        return metrics

    def offline_metrics(self, score: float) -> dict[str, float]:
        """The metrics of the test besides the return."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        found = {"test/dataset_return": float(data.returns.mean())}
        if self.env in REFERENCE_RETURNS and self.env_factory.is_plain:
            random, expert = REFERENCE_RETURNS[self.env]
            found["test/normalized_score"] = 100 * (score - random) / (expert - random)
        return found


def has_vectors(observation_size: ObservationSize) -> bool:
    """Whether there are numbers in an observation that can be normalised, and not images and choices alone.

    >>> has_vectors(3), has_vectors([3, 64, 64])
    (True, False)
    """
    return Layout(observation_size).vectors > 0
