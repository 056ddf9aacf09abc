"""Shared by every agent: greedy evaluation as Lightning's validation and test, a video, plots at the end."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from lab import plots
from lab.errors import BadSetting
from lab.rl.common import evaluation
from lab.rl.common.learning_curve import LearningCurve
from lab.rl.common.observers import AttemptReturns, MeanCost, Observer
from lab.rl.data.episode_files import check_minari, write_minari
from lab.rl.data.episodes import Episode, reactive, record
from lab.rl.data.minari_folder import free_minari_name
from lab.rl.envs.factory import EnvFactory


class Agent(LightningModule):
    """A LightningModule whose `forward` maps observations (B, O) to greedy actions.

    A batch of validation or test is a tensor of start seeds. Logged: `val/return` and `test/return`, the mean
    undiscounted return of the greedy policy, and their standard deviations over episodes, `val/return_std` and
    `test/return_std`; at every validation `val/return_auc` and `val/steps_to_threshold`, which `LearningCurve`
    explains, and `train/return_mean`, the mean of all training episodes so far, with exploration; where the optimum is
    known, `test/optimality_gap`, by how much the optimum of the very same starts is better (never negative but for
    rounding); of trials with several attempts what `AttemptReturns` explains.

    >>> class Still(Agent):
    ...     def forward(self, observation):
    ...         return torch.zeros(len(observation), 1)
    >>> Still("Pendulum-v1").greedy(torch.zeros(2, 3)).shape
    torch.Size([2, 1])

    Args:
        env: name of the Gymnasium environment, in which the agent is evaluated.
    """

    averages_gradients = False  # over processes, so that several can learn together

    def __init__(self, env: str) -> None:
        super().__init__()
        self.env = env
        self.automatic_optimization = False
        self.env_steps = 0
        self.recent_returns: list[float] = []  # of training episodes, until they are logged
        self.learning_curve = LearningCurve()
        self.env_factory = EnvFactory(env)  # the data brings its own, with keywords and a time limit

    def greedy(self, observation: Tensor) -> Tensor:
        """`forward` for observations as environments give them: in single precision, or bytes of images."""
        action: Tensor = self(self.typed(observation))
        return action

    def typed(self, observation: Tensor) -> Tensor:
        """Observations as environments give them, numbers in the precision of the weights."""
        return observation.to(self.dtype) if observation.is_floating_point() else observation

    def evaluation_policy(self) -> Callable[[Tensor], Tensor]:
        """The policy that is evaluated, from the beginning of episodes on."""
        return self.greedy

    def check_trainer(self, trainer: Trainer) -> None:
        """Refuses what it cannot be trained by, before the run begins."""
        if trainer.world_size > 1 and not self.averages_gradients:
            name = type(self).__name__.lower()
            raise BadSetting("trainer.devices", f"{name} learns in one process: set it to 1")

    def validation_step(self, seeds: Tensor, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        self._evaluate("val", seeds)

    def test_step(self, seeds: Tensor, batch_idx: int) -> None:  # noqa: ARG002
        self._evaluate("test", seeds)

    def _evaluate(self, stage: str, seeds: Tensor) -> None:
        starts = seeds.tolist()
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        metrics = self.evaluate(stage, starts)
        if "val/return" in metrics:
            mean = self.trainer.strategy.reduce(torch.tensor(metrics["val/return"], device=self.device))
            metrics |= self.learning_curve.add(int(self.counters()["step"]), float(mean), data.threshold())
        logged = {name: torch.tensor(value, dtype=torch.float32) for name, value in metrics.items()}
        self.log_dict(logged, batch_size=len(starts), sync_dist=True, prog_bar=True)
        counters = self.counters()
        if stage == "val":
            self.log_dict(counters, batch_size=len(starts))
            explored = data.mean_return()
            if explored is not None:
                self.log("train/return_mean", explored, batch_size=len(starts), sync_dist=True)
        else:
            self.log("step", counters["step"], batch_size=len(starts))

    def counters(self) -> dict[str, float]:
        """The progress of training, as it is logged with every metric; `step` is the x-axis of the loggers."""
        return dict.fromkeys(("step", "env_steps"), float(self.env_steps))

    def evaluate(self, stage: str, starts: list[int]) -> dict[str, float]:
        """The metrics of a validation (`val`) or test, from one episode of each start seed."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        policy, num_envs, observers = self.evaluation_policy(), data.eval_envs, self.observers(len(starts))
        returns = evaluation.play(policy, self.env_factory, starts, self.device, num_envs, observers)
        metrics = self.scores(stage, starts, returns)
        for observer in observers:
            metrics |= observer.metrics(stage)
        if stage == "test":
            metrics |= evaluation.controller_metrics(self.env, self.env_factory.env_kwargs, starts, num_envs)
        return metrics

    def observers(self, episodes: int) -> list[Observer]:
        """What else is measured while so many episodes are played."""
        return [MeanCost(), AttemptReturns(episodes)]

    def scores(self, stage: str, starts: list[int], returns: np.ndarray) -> dict[str, float]:
        """The metrics of returns (N,) from these start seeds."""
        metrics = {f"{stage}/return": float(returns.mean()), f"{stage}/return_std": float(returns.std())}
        if self.env in evaluation.OPTIMA and stage == "test" and self.env_factory.is_plain:
            metrics["test/optimality_gap"] = float((evaluation.OPTIMA[self.env](starts) - returns).mean())
        return metrics

    def play(self, video: Path, seed: int) -> float:
        """Writes one greedy episode from start `seed` to `video` and returns its return."""
        return evaluation.record_video(self.evaluation_policy(), self.env_factory, seed, self.device, video)

    def record(self, seeds: Sequence[int], noise: float) -> list[Episode]:
        """One episode from each start seed, greedy but for the noise that `lab.rl.data.episodes.record` explains."""
        return record(reactive(self.evaluation_policy(), self.device), self.env_factory, seeds, noise)

    def collect(self, name: str | None, episodes: int, noise: float, seed: int) -> tuple[str, dict[str, float]]:
        """Writes episodes from the start seeds from `seed` on as a Minari data set, and says what is in it.

        Args:
            name: id of the data set; by default the first free version of one of environment and task.
            episodes: how many, from 1.
            noise: as `record` has it.
            seed: the first start seed.
        """
        task = type(self).__name__.lower()
        name = name or free_minari_name(self.env, task)
        check_minari(name)
        found = self.record(range(seed, seed + episodes), noise)
        about = f"greedy actions of {task} in {self.env} with noise {noise}, start seeds from {seed}"
        write_minari(name, found, self.env_factory, task, about)
        returns = [sum(each.rewards) for each in found]
        return name, {
            "episodes": float(episodes),
            "steps": float(sum(len(each.rewards) for each in found)),
            "return/mean": float(np.mean(returns)),
            "return/std": float(np.std(returns)),
        }

    def on_test_end(self) -> None:
        if self.logger is None or not self.trainer.is_global_zero:
            return
        with tempfile.TemporaryDirectory() as folder:
            video = Path(folder) / "agent.mp4"
            try:
                self.play(video, seed=0)
            except Exception as error:  # a simulator may fail to draw; that is no reason to fail a trained run
                warnings.warn(f"no video of the agent: {error}", stacklevel=1)
            else:
                plots.log_file(self, video, "videos")
        self.draw()

    def draw(self) -> None:
        """Logs the algorithm's own pictures."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["env_steps"], checkpoint["recent_returns"] = self.env_steps, list(self.recent_returns)
        checkpoint["learning_curve"] = self.learning_curve.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.env_steps, self.recent_returns = checkpoint["env_steps"], list(checkpoint["recent_returns"])
        self.learning_curve.load_state_dict(checkpoint.get("learning_curve", {}))  # earlier versions had none


def mean_or_nothing(returns: list[float], name: str) -> dict[str, float]:
    """`{name: mean}`, or nothing where no episode ended."""
    return {name: float(np.mean(returns))} if returns else {}
