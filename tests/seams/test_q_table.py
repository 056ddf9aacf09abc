"""Q-learning on a table, without any neural network: a best checkpoint, a test of it, and a way back into a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import pytest
import torch
from annotated_types import Ge, Gt, Le
from lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

import lab
from lab.errors import LabError
from lab.runner.resume import resume

pytestmark = pytest.mark.slow


class QTable(LightningModule):
    """Watkins' Q-learning (1989), optimistic at first; the table is a parameter, and a step of SGD one update.

    Args:
        states: how many there are; a fact of the data.
        actions: how many there are; a fact of the data.
        lr: the step size.
        gamma: the discount.
        epsilon: how often a random action is taken.
    """

    def __init__(
        self,
        states: int,
        actions: int,
        lr: Annotated[float, Gt(0), Le(1)] = 0.5,
        gamma: Annotated[float, Ge(0), Le(1)] = 0.9,
        epsilon: Annotated[float, Ge(0), Le(1)] = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.lr, self.gamma, self.epsilon = lr, gamma, epsilon
        self.table = nn.Parameter(torch.ones(states, actions))  # (S, A)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def training_step(self, seed: int) -> None:
        env, optimizer = self.trainer.datamodule.env, self.optimizers()  # type: ignore[attr-defined]
        state, _ = env.reset(seed=seed)
        over = False
        while not over:
            explore = torch.rand(()) < self.epsilon
            action = int(torch.randint(self.table.shape[1], ())) if explore else int(self.table[state].argmax())
            following, reward, terminated, truncated, _ = env.step(action)
            target = reward + self.gamma * (not terminated) * self.table[following].max().detach()
            optimizer.zero_grad()
            self.manual_backward(0.5 * (self.table[state, action] - target) ** 2)
            optimizer.step()
            state, over = following, terminated or truncated

    def _play(self, seed: int) -> float:
        env = self.trainer.datamodule.env  # type: ignore[attr-defined]
        state, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            state, reward, terminated, truncated, _ = env.step(int(self.table[state].argmax()))
            total, over = total + reward, terminated or truncated
        return total

    def validation_step(self, seed: int) -> None:
        self.log("val/return", self._play(seed), batch_size=1)

    def test_step(self, seed: int) -> None:
        self.log("test/return", self._play(seed), batch_size=1)


class Lake(LightningDataModule):
    """FrozenLake without slipping; a batch is the start seed of an episode.

    Args:
        episodes: of an epoch of training.
    """

    def __init__(self, episodes: Annotated[int, Ge(1)] = 50) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.env: Any = gym.make("FrozenLake-v1", is_slippery=False)
        self.episodes = episodes

    def facts(self) -> dict[str, int]:
        return {"states": int(self.env.observation_space.n), "actions": int(self.env.action_space.n)}

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(range(self.episodes), batch_size=None)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(range(3), batch_size=None)  # type: ignore[arg-type]

    test_dataloader = val_dataloader


def table(path: Path | None) -> Tensor:
    assert path is not None
    found: Tensor = torch.load(path, weights_only=True)["state_dict"]["table"]
    return found


def test_a_table_is_trained_tested_and_resumed(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tracked / "lake.yaml"
    file.write_text(
        f"task: {{module: {__name__}:QTable, data: {__name__}:Lake, monitor: val/return, mode: max}}\n"
        "threads: 1\ntrainer: {max_epochs: 4, accelerator: cpu}\ncheckpoint: {steps: 20}\n"
    )
    recipe = (str(file), f"track.uri=sqlite:///{tracked}/mlflow.db", "track.system_metrics=false")
    whole = lab.run(*recipe)
    assert (whole.monitor, whole.score) == ("test/return", 1.0)
    assert whole.best is not None
    assert QTable.load_from_checkpoint(whole.best, weights_only=True).table.shape == (16, 4)

    step, calls = QTable.training_step, iter(range(1000))

    def failing(self: QTable, seed: int) -> None:
        if next(calls) == 77:
            raise RuntimeError("cut off")
        step(self, seed)

    with monkeypatch.context() as patched:
        patched.setattr(QTable, "training_step", failing)
        with pytest.raises(LabError, match="cut off"):
            lab.run(*recipe, "track.name=broken")
    resumed = resume("broken", whole.uri)
    assert torch.equal(table(whole.last), table(resumed.last))
    assert torch.equal(table(whole.best), table(resumed.best))
    assert resumed.score == 1.0
