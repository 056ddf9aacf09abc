"""State that training changes and no checkpoint contains is named, at the first checkpoint and at a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from lab.errors import LabError
from lab.runner.resume import resume
from tests.runner.projects import Judged, Rows, Run

pytestmark = pytest.mark.slow  # each trains

NAMES = ("model.average", "model.count", "model.seen", "model.held", "model.layer.bank", "data.asked", "Keeper.losses")


class Bank(nn.Linear):
    """A layer that gathers what it saw, as a memory bank does."""

    def __init__(self) -> None:
        super().__init__(2, 1)
        self.bank: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.bank.append(x.detach())
        return super().forward(x)


class Keeper(L.Callback):
    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, *_: Any) -> None:  # noqa: ARG002
        self.losses.append(float(outputs["loss"]))


class Counted(Rows):
    asked = 0

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:  # noqa: ARG002
        self.asked += 1
        return batch


class Forgetful(Judged):
    """Keeps state in plain attributes; the last batch of the second epoch fails once."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Bank()
        self.average: Tensor | None = None
        self.count, self.seen, self.fixed = 0, np.zeros(2), torch.ones(3)
        self.held = self.same = TensorDataset(torch.zeros(2))

    def training_step(self, batch: list[Tensor]) -> Tensor:
        loss = self.loss(batch)
        self.average = loss.detach() if self.average is None else 0.9 * self.average + 0.1 * loss.detach()
        self.count += 1
        self.seen += 1
        self.held = TensorDataset(torch.ones(2))
        if self.trainer.global_step == 6 and not Path("failed").exists():
            Path("failed").touch()
            raise RuntimeError("once")
        return loss


class Careful(Forgetful):
    """The same, and what it changes is in its checkpoints, or set at the start of each training."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.length = 0

    def on_train_start(self) -> None:
        self.length = int(self.trainer.estimated_stepping_batches)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["own"] = {"average": self.average, "count": self.count, "seen": self.seen, "held": 1}


def failing(run: Run, module: type, data: type, more: str = "") -> None:
    with pytest.raises(LabError, match="once"):
        run(module, data=data, more=more, settings=("checkpoint.steps=1",))


def test_state_outside_of_checkpoints_is_named(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    failing(run, Forgetful, Counted, f"callbacks: [{{class_path: {__name__}.Keeper}}]")
    said = capsys.readouterr().err
    assert said.count("checkpoints do not contain") == 1
    for name in NAMES[:5]:
        assert name in said
    assert "fixed" not in said
    assert "model.same" not in said
    resume("last")
    said = capsys.readouterr().err
    assert "the checkpoint does not contain model." in said
    assert "and 2 more" in said


def test_state_that_a_module_saves_is_not(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    failing(run, Careful, Rows)
    resume("last")
    assert "not contain" not in capsys.readouterr().err
