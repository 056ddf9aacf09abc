"""What a module writes into a checkpoint and no file can keep is taken from the rebuilt module when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule

from lab.engine.checkpoint import Files
from lab.errors import LabError


class Scaler:
    """No plain value."""

    def __init__(self, mean: float) -> None:
        self.mean = mean


class Scaled(LightningModule):
    """A module that keeps a scaler beside its weights, as pytorch-forecasting does."""

    def __init__(self, mean: float = 0.0) -> None:
        super().__init__()
        self.scaler, self.rows = Scaler(mean), torch.arange(3)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["scaler"] = {"x": [self.scaler]}
        checkpoint["rows"] = self.rows

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        (self.scaler,), self.rows = checkpoint["scaler"]["x"], checkpoint["rows"]


def written(module: LightningModule) -> dict[str, Any]:
    checkpoint: dict[str, Any] = {"state_dict": {}, "epoch": 1}
    module.on_save_checkpoint(checkpoint)
    return checkpoint


def test_an_object_is_that_of_the_rebuilt_module_and_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    first, second = Scaled(), Scaled(2.0)
    first.rows = torch.arange(5)
    saving = Files(first)
    for name in ("a.ckpt", "b.ckpt"):
        saving.save_checkpoint(written(first), tmp_path / name)
    assert capsys.readouterr().err == "checkpoints leave out scaler (dict); the recipe builds what they need again\n"
    second.on_load_checkpoint(Files(second).load_checkpoint(tmp_path / "b.ckpt"))
    assert (second.scaler.mean, len(second.rows)) == (2.0, 5)


def test_the_state_of_somebody_else_is_never_left_out(tmp_path: Path):
    checkpoint = written(Scaled()) | {"callbacks": {"own": Scaler(1.0)}}
    with pytest.raises(LabError, match="holds more than tensors and plain values"):
        Files(Scaled()).save_checkpoint(checkpoint, tmp_path / "a.ckpt")
