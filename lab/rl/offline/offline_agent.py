"""Shared by agents that learn from recorded episodes alone."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDictBase
from torch import Tensor

from lab.rl.common.off_policy import OffPolicy

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
    """An agent that learns from an `OfflineData`, and sees vectors normalised by the mean and deviation of its data.

    Besides the return, the test logs `test/normalized_score`, 0 for a random agent and 100 for an expert, where both
    are known, and `test/dataset_return`, the mean return of the episodes that were learned from.
    """

    observation_mean: Tensor
    observation_std: Tensor

    def make_normalization(self, observation_size: Any) -> None:
        """Adds the buffers, which are filled when training begins."""
        shape = (observation_size,) if isinstance(observation_size, int) else ()
        self.register_buffer("observation_mean", torch.zeros(shape))
        self.register_buffer("observation_std", torch.ones(shape))

    def normalized(self, observation: Tensor) -> Tensor:
        """Observations (..., O) as the networks see them."""
        if not self.observation_mean.ndim:
            return observation
        return (observation - self.observation_mean) / self.observation_std

    def on_fit_start(self) -> None:
        if not int(self.updates):
            mean, std = self.trainer.datamodule.normalization()  # type: ignore[attr-defined]
            self.observation_mean.copy_(mean)
            self.observation_std.copy_(std)

    def update_inputs(self, batches: TensorDictBase) -> tuple[Tensor, ...]:
        """With observations as the networks see them."""
        seen = batches.clone(recurse=False)
        for key in ("observation", ("next", "observation")):
            if key in batches.keys(include_nested=True):
                seen[key] = self.normalized(batches[key])
        return super().update_inputs(seen)

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
        """What the test says besides the return."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        found = {"test/dataset_return": float(data.returns.mean())}
        if self.env in REFERENCE_RETURNS and not self.env_factory.env_kwargs:
            random, expert = REFERENCE_RETURNS[self.env]
            found["test/normalized_score"] = 100 * (score - random) / (expert - random)
        return found
