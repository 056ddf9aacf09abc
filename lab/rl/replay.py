"""Off-policy data: an environment, a torchrl collector and a torchrl replay buffer as one LightningDataModule.

A training batch is a whole block: `block` environment steps are collected, appended at once, and all the batches of the
updates that belong to them are sampled at once. So the fixed costs of Lightning, the collector and the buffer are paid
once per block and not once per environment step.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import torch
from annotated_types import Ge, Gt
from lightning import LightningDataModule
from tensordict import TensorDictBase
from torch.utils.data import DataLoader, IterableDataset
from torchrl.collectors import Collector
from torchrl.data import LazyMemmapStorage, LazyTensorStorage, TensorDictReplayBuffer
from torchrl.envs import GymWrapper, InitTracker, TransformedEnv

from lab.errors import BadSetting
from lab.rl import environment

STORED = ("observation", "action", ("next", "observation"), ("next", "reward"), ("next", "terminated"))
VALIDATION_SEEDS, TEST_SEEDS = 10_000, 20_000  # first start seeds: fixed, so that runs are compared on the same starts


class Block(NamedTuple):
    """What one `training_step` works on.

    Args:
        batches: TensorDict of shape (updates, batch size) with the keys in `STORED`.
        env_steps: environment steps so far, over all processes, this block included.
        returns: undiscounted returns of the training episodes that ended in this block.
    """

    batches: TensorDictBase
    env_steps: int
    returns: list[float]


class ReplayData(LightningDataModule):
    """Collects transitions with the module's exploration policy and replays them uniformly.

    Args:
        env: name of a registered Gymnasium environment.
        total_steps: environment steps of the whole run, random ones included.
        batch_size: transitions per update.
        episode_steps: time limit of training episodes; by default the environment's own. A shorter one sees more
            starts and changes nothing else, because truncated episodes bootstrap.
        random_steps: steps with random actions before the policy acts and updates begin.
        block: environment steps collected between two groups of updates; smaller means fresher data, larger is faster.
        updates_per_step: gradient updates per environment step.
        capacity: transitions that the buffer keeps.
        storage: where the buffer lives: `memory`, or memory-mapped files (`memmap`) for buffers larger than memory.
        eval_every: environment steps between two validations; also the length of an epoch.
        eval_episodes: episodes of a validation, always from the same start seeds.
        test_episodes: episodes of the test, always from the same start seeds, none of them used in validation.
    """

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        batch_size: Annotated[int, Gt(0)] = 256,
        episode_steps: Annotated[int, Gt(0)] | None = None,
        random_steps: Annotated[int, Ge(1)] = 1_000,
        block: Annotated[int, Gt(0)] = 50,
        updates_per_step: Annotated[float, Gt(0)] = 1.0,
        capacity: Annotated[int, Gt(0)] = 1_000_000,
        storage: Literal["memory", "memmap"] = "memory",
        eval_every: Annotated[int, Gt(0)] = 1_000,
        eval_episodes: Annotated[int, Gt(0)] = 20,
        test_episodes: Annotated[int, Gt(0)] = 100,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.env, self.total_steps, self.batch_size, self.random_steps = env, total_steps, batch_size, random_steps
        self.episode_steps = episode_steps
        self.block, self.capacity, self.storage = block, min(capacity, total_steps), storage
        self.eval_every, self.eval_episodes, self.test_episodes = eval_every, eval_episodes, test_episodes
        self.updates = round(block * updates_per_step)  # per block
        if self.updates < 1:
            raise BadSetting("updates_per_step", f"{updates_per_step} times a block of {block} is no update")
        if random_steps >= total_steps:
            raise BadSetting("random_steps", f"expected less than total_steps ({total_steps}), found {random_steps}")
        self.env_steps = 0
        self.world_size = 1
        self._running_return = 0.0

    def facts(self) -> dict[str, Any]:
        """`env`, `observation_size` and `action` (bounds, or a count) of the environment."""
        return environment.describe(self.env)

    def trainer_defaults(self) -> dict[str, Any]:
        """One epoch lasts until the next validation is due; its number of blocks is asked for anew every time."""
        epochs = steps = 0
        while steps < self.total_steps:
            steps = math.ceil(self._due(steps) / self._stride) * self._stride
            epochs += 1
        return {"max_epochs": epochs, "reload_dataloaders_every_n_epochs": 1, "num_sanity_val_steps": 0}

    def progress(self) -> tuple[int, int, str]:
        """Environment steps done and to do."""
        return self.env_steps, self.total_steps, "env steps"

    def setup(self, stage: str) -> None:
        if stage != "fit":
            return
        assert self.trainer is not None
        rank, self.world_size = self.trainer.global_rank, self.trainer.world_size
        if self.world_size > 1:  # every process explores for itself
            torch.manual_seed(torch.initial_seed() + rank)
        agent: Any = self.trainer.lightning_module
        policy = agent.exploration_policy()
        env = GymWrapper(environment.make(self.env, max_episode_steps=self.episode_steps), device=None)
        if "is_init" in policy.in_keys:
            env = TransformedEnv(env, InitTracker())
        env.set_seed(torch.initial_seed() % 2**31)
        self.collector = Collector(
            env,
            policy,
            frames_per_batch=self.block,
            total_frames=-1,
            init_random_frames=self.random_steps // self.world_size,
            track_traj_ids=False,
            trust_policy=True,
            auto_register_policy_transforms=False,
            **_devices(self.trainer.strategy.root_device),
        )
        storage = LazyTensorStorage if self.storage == "memory" else LazyMemmapStorage
        self.replay = TensorDictReplayBuffer(storage=storage(self.capacity), batch_size=self.batch_size)

    def train_dataloader(self) -> DataLoader[Block]:
        return DataLoader(_Blocks(self), batch_size=None, collate_fn=_identity)

    def val_dataloader(self) -> DataLoader[torch.Tensor]:
        return _starts(VALIDATION_SEEDS, self.eval_episodes)

    def test_dataloader(self) -> DataLoader[torch.Tensor]:
        return _starts(TEST_SEEDS, self.test_episodes)

    def teardown(self, stage: str) -> None:
        if stage == "fit" and hasattr(self, "collector"):
            self.collector.shutdown()

    def blocks(self) -> Iterator[Block]:
        """The blocks of one epoch: collect until the next validation is due."""
        due = self._due(self.env_steps)
        while self.env_steps < due:
            steps = self.collector.next().reshape(-1)
            self.replay.extend(steps.select(*STORED))
            self.env_steps += self._stride
            returns = self._finished(steps)
            if self.env_steps > self.random_steps:
                yield Block(self._sample(), self.env_steps, returns)

    def epoch_length(self) -> int:
        """How many blocks `blocks` would yield now."""
        first = max(self.env_steps, self.random_steps // self._stride * self._stride)
        return math.ceil((self._due(self.env_steps) - first) / self._stride)

    @property
    def _stride(self) -> int:
        """Environment steps of one block over all processes."""
        return self.block * self.world_size

    def _due(self, steps: int) -> int:
        """Environment steps at the validation after `steps`; the first is not before the first updates."""
        first = (self.random_steps // self._stride + 1) * self._stride
        return min(max(self.eval_every * (steps // self.eval_every + 1), first), self.total_steps)

    def _sample(self) -> TensorDictBase:
        with warnings.catch_warnings():  # torchrl warns that many batches at once are not one batch: they are meant
            warnings.filterwarnings("ignore", "Got conflicting batch_sizes")
            batches: TensorDictBase = self.replay.sample(self.updates * self.batch_size)
        return batches.select(*STORED).reshape(self.updates, self.batch_size)

    def _finished(self, steps: TensorDictBase) -> list[float]:
        """Returns of the episodes that end in `steps`; what is left over belongs to the episode that goes on."""
        finished = []
        rewards, ends = steps["next", "reward"].flatten().tolist(), steps["next", "done"].flatten().tolist()
        for reward, end in zip(rewards, ends, strict=True):
            self._running_return += reward
            if end:
                finished.append(self._running_return)
                self._running_return = 0.0
        return finished


class _Blocks(IterableDataset[Block]):
    """The blocks of one epoch. It has a length, because Lightning fetches one batch ahead from what has none, and a
    block collected before the updates of the one before it would come from an old policy."""

    def __init__(self, data: ReplayData) -> None:
        self.data = data

    def __iter__(self) -> Iterator[Block]:
        return self.data.blocks()

    def __len__(self) -> int:
        return self.data.epoch_length()


def _devices(policy: torch.device) -> dict[str, Any]:
    """Where a collector works. On the CPU nothing is said: every device that is named costs a copy per step, and all
    three together more than half of the time (521 us a step instead of 233)."""
    return {} if policy.type == "cpu" else {"policy_device": policy, "env_device": "cpu", "storing_device": "cpu"}


def _identity(block: Any) -> Any:
    return block


def _starts(first: int, episodes: int) -> DataLoader[torch.Tensor]:
    return DataLoader(torch.arange(first, first + episodes), batch_size=episodes)  # type: ignore[arg-type]
