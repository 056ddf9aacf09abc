"""Shared by data modules that collect: epochs from validation to validation, counters, and start seeds of episodes."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from lab.errors import BadSetting
from lab.rl.data.block_loader import BlockLoader, seed_loader
from lab.rl.data.kept_episodes import PREFIX, KeptEpisodes, check_kept_fits
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.wrappers import Wrappers

VALIDATION_SEEDS, TEST_SEEDS = 10_000, 20_000  # first start seeds: fixed, so that runs are compared on the same starts


FrameStack = Annotated[int, Ge(1)]
# Logging the values of a block takes some 2 ms, as long as a small block: a short run logs so many blocks,
LOGGED_BLOCKS = 25
LOG_EVERY = 100  # and a long one every so many


class CollectionData(LightningDataModule):
    """A data module that collects blocks of environment steps; an epoch lasts until the next validation is due.

    Args:
        env: name of a registered Gymnasium environment, such as `Pendulum-v1`, or `module:Name-v0` to import the module
            that registers it, or `module:Class`, or `envpool:Name` for one of EnvPool's.
        env_kwargs: keyword arguments of the environment's constructor.
        wrappers: wrappers around the environment, the first one innermost: names of `gymnasium.wrappers` or
            `module:Class`, with arguments `{class_path: ..., init_args: {...}}`.
        action_masks: choose among valid actions only, which the environment says by a method `action_masks()` or in
            `info["action_mask"]`; for discrete actions.
        frame_stack: latest observations that the agent sees at once, which shows velocities; by default 1, and 4 in
            Atari games.
        total_steps: environment steps of the whole run.
        eval_every: environment steps between two validations; also the length of an epoch.
        eval_episodes: episodes of a validation, always from the same start seeds.
        test_episodes: episodes of the test, always from the same start seeds, none of them used in validation.
        eval_envs: environments that validation and test step together.
        episode_steps: time limit of training episodes; by default the environment's own. A shorter limit gives more
            start states; targets bootstrap after truncation. Evaluation uses the environment's limit, or this one if it
            has none.
        reward_threshold: mean return of a validation that counts as solved, to which steps are counted; by default the
            environment's own.
        keep: id of the Minari data set as which the training episodes are written at the end of the training, such as
            cartpole/dqn-replay-v0; an episode that is still being played then counts as truncated. By default none are.
    """

    def __init__(
        self,
        env: str,
        env_kwargs: Mapping[str, Any] | None,
        wrappers: Wrappers | None,
        action_masks: bool,
        total_steps: int,
        eval_every: int,
        eval_episodes: int,
        test_episodes: int,
        eval_envs: int,
        episode_steps: int | None,
        frame_stack: int | None = None,
        is_flat: bool = True,
        reward_threshold: float | None = None,
        keep: str | None = None,
    ) -> None:
        super().__init__()
        self.total_steps, self.eval_every = total_steps, eval_every
        self.eval_episodes, self.test_episodes = eval_episodes, test_episodes
        self.eval_envs, self.env, self.reward_threshold = eval_envs, env, reward_threshold
        self.env_factory = EnvFactory(env, env_kwargs, wrappers, episode_steps, action_masks, is_flat, frame_stack)
        self.kept_episodes = None if keep is None else KeptEpisodes(keep)
        self.env_steps = 0
        self._episodes, self._returns = 0, 0.0  # training episodes that ended, and the sum of their returns
        self._epoch, self._epoch_began = 0, 0  # the Trainer's present epoch, and the env steps when it began

    @property
    @abstractmethod
    def _stride(self) -> int:
        """Environment steps of one block over all environments or processes."""

    @abstractmethod
    def _collect(self) -> Any:
        """Collects one block, and returns the training batch that it makes, or None if there is nothing to learn."""

    def _due(self, steps: int) -> int:
        """Environment steps at the validation after `steps`."""
        return min(self.eval_every * (steps // self.eval_every + 1), self.total_steps)

    def _num_batches(self, steps: int) -> int:
        """Training batches that so many environment steps make."""
        return math.ceil(steps / self._stride)

    def epoch_length(self) -> int:
        """Batches of the present epoch that are learned from."""
        return self._num_batches(self._due(self._epoch_began) - self._epoch_began)

    def progress(self) -> tuple[int, int, str]:
        """Environment steps done and to do."""
        return min(self.env_steps, self.total_steps), self.total_steps, "env steps"

    def threshold(self) -> float | None:
        """The mean return that solves the environment: `reward_threshold`, or else the environment's own, if any."""
        return self.env_factory.reward_threshold() if self.reward_threshold is None else self.reward_threshold

    def connect(self, module: Any) -> None:
        """Gives the module the environments to evaluate in."""
        module.env_factory = self.env_factory

    def setup(self, stage: str) -> None:
        assert self.trainer is not None
        self.connect(self.trainer.lightning_module)
        if stage == "fit" and self.kept_episodes is not None:
            if self.trainer.world_size > 1:
                raise BadSetting("keep", "one process alone can keep its episodes: set trainer.devices to 1")
            check_kept_fits(self.total_steps, self.env_factory.facts())
            callbacks: list[Any] = self.trainer.callbacks  # type: ignore[attr-defined]
            if self.kept_episodes not in callbacks:
                callbacks.insert(0, self.kept_episodes)  # so that it writes before the last checkpoint is written

    def trainer_defaults(self) -> dict[str, Any]:
        """One epoch lasts until the next validation is due; its number of blocks is asked for anew every time."""
        epochs = steps = 0
        while steps < self.total_steps:
            steps = math.ceil(self._due(steps) / self._stride) * self._stride
            epochs += 1
        return {
            "max_epochs": epochs,
            "reload_dataloaders_every_n_epochs": 1,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": min(LOG_EVERY, math.ceil(self._num_batches(self.total_steps) / LOGGED_BLOCKS)),
        }

    def fingerprint(self) -> dict[str, Any]:
        """The environment's package, keywords, wrappers, spaces and time limit: by them another one is noticed."""
        made = self.env_factory.for_evaluation(1)[0]
        return {
            "package": self.env_factory.package(),
            "env_kwargs": self.env_factory.env_kwargs,
            "wrappers": self.env_factory.wrappers,
            "observation_space": str(made.unwrapped.observation_space),
            "action_space": str(made.unwrapped.action_space),
            "max_episode_steps": made.spec.max_episode_steps if made.spec is not None else None,
        }

    def mean_return(self) -> float | None:
        """Mean undiscounted return of the training episodes so far, random ones included; None before the first end."""
        return self._returns / self._episodes if self._episodes else None

    def train_dataloader(self) -> BlockLoader:
        assert self.trainer is not None
        if self._epoch != self.trainer.current_epoch:  # else it is the rest of an epoch, after a resume
            self._epoch, self._epoch_began = self.trainer.current_epoch, self.env_steps
        return BlockLoader(self.blocks, self.epoch_length)

    def val_dataloader(self) -> DataLoader[Tensor]:
        return seed_loader(VALIDATION_SEEDS, self.eval_episodes)

    def test_dataloader(self) -> DataLoader[Tensor]:
        return seed_loader(TEST_SEEDS, self.test_episodes)

    def blocks(self) -> Iterator[Any]:
        """The blocks of an epoch, or what is left of it: collect until the next validation is due."""
        if self.env_steps >= self._due(self._epoch_began):
            self._epoch_began = self.env_steps
        due = self._due(self._epoch_began)
        while self.env_steps < due:
            block = self._collect()
            if block is not None:
                yield block

    def write_buffers(self, folder: Path) -> list[str]:
        """Writes the kept steps that `folder` lacks; returns the names of all files that a resume from here needs."""
        return [] if self.kept_episodes is None else self.kept_episodes.write(folder)

    def read_buffers(self, folder: Path, files: list[str]) -> None:
        """Reads the kept steps of the checkpoint that was loaded."""
        if self.kept_episodes is not None:
            self.kept_episodes.read(folder, [name for name in files if name.startswith(PREFIX)])

    def count(self, returns: list[float]) -> None:
        """Counts a block, and the training episodes that ended in it."""
        self.env_steps += self._stride
        self._episodes += len(returns)
        self._returns += sum(returns)

    def counters(self) -> dict[str, Any]:
        """The counters as plain values, for `load_counters`."""
        return {
            "env_steps": self.env_steps,
            "epoch": self._epoch,
            "epoch_began": self._epoch_began,
            "episodes": self._episodes,
            "returns": self._returns,
        }

    def load_counters(self, state: dict[str, Any]) -> None:
        self.env_steps, self._epoch, self._epoch_began = state["env_steps"], state["epoch"], state["epoch_began"]
        self._episodes, self._returns = state["episodes"], state["returns"]
