"""A task read by worker processes, with every source of randomness in it, and an environment; both fail when asked to.

The variable `FAULT` says how: `nan 37` (the loss of that batch), `row 12` (reading that row), `step 900` (of an
environment).
"""

import os
import time

import gymnasium
import torch
from gymnasium.envs.classic_control import PendulumEnv
from lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

ROWS = 400


def wanted(kind: str) -> int:
    """At which count this kind of fault happens; -1 for never."""
    name, _, count = os.environ.get("FAULT", "").partition(" ")
    return int(count) if name == kind else -1


BAD_STEP = wanted("step")  # an attribute of the environment would come back with its snapshot


class Rows(Dataset[Tensor]):
    def __init__(self, pause: float) -> None:
        self.pause, self.bad = pause, wanted("row")

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, i: int) -> Tensor:
        if i == self.bad:
            raise ValueError(f"row {i} is torn")
        time.sleep(self.pause)
        return torch.randn(4) + i / ROWS  # noise of the worker's own generator


class Data(LightningDataModule):
    """Noisy rows.

    Args:
        pause: seconds that reading a row takes.
    """

    def __init__(self, pause: float = 0.005) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.pause = pause

    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(Rows(self.pause), 4, shuffle=True, num_workers=2)

    def val_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(torch.zeros(2, 4), 2)  # type: ignore[arg-type]


class Net(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
        self.bad = wanted("nan")

    def training_step(self, batch: Tensor) -> Tensor:
        loss = self.net(batch).square().mean()
        if self.global_step == self.bad:
            loss = loss * float("nan")
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Tensor) -> None:
        self.log("val/loss", self.net(batch).square().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters())


class Shaky(PendulumEnv):
    """Pendulum that breaks after some steps."""

    def __init__(self, **settings: str | None) -> None:
        super().__init__(**settings)
        self.taken = 0

    def step(self, action):
        self.taken += 1
        if self.taken == BAD_STEP:
            raise ArithmeticError("the simulation diverged")
        return super().step(action)


gymnasium.register("Shaky-v0", Shaky, max_episode_steps=200)
