"""What a module writes into a checkpoint and no file can keep is taken from the rebuilt module when it is read."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningModule

from lab.engine.checkpoint import Files
from lab.engine.plain_values import pack
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
    assert (
        capsys.readouterr().err
        == "checkpoints do not contain scaler (dict); a resumed run takes them from a new module\n"
    )
    second.on_load_checkpoint(Files(second).load_checkpoint(tmp_path / "b.ckpt"))
    assert (second.scaler.mean, len(second.rows)) == (2.0, 5)


def test_the_state_of_somebody_else_is_never_left_out(tmp_path: Path):
    checkpoint = written(Scaled()) | {"callbacks": {"own": Scaler(1.0)}}
    with pytest.raises(LabError, match="holds more than tensors and plain values"):
        Files(Scaled()).save_checkpoint(checkpoint, tmp_path / "a.ckpt")


class Keeps(LightningModule):
    """A module that keeps a value beside its weights."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["kept"] = self.value


KEPT = [
    np.float64(1.5), np.float32(0.1), np.int64(3), np.bool_(True), np.str_("a"), np.complex64(1 + 2j),
    np.arange(6.0).reshape(2, 3).T, np.zeros((0, 2), np.uint16), np.array(["a", "bc"]), np.arange(3, dtype=">i4"),
    1j, b"", b"x", bytearray(b"x"), Path("a/b"), frozenset({1}), deque([1, np.float64(2)], maxlen=3),
    deque([Path("x")]),
    defaultdict(list, {"a": [np.ones(2)]}), defaultdict(None, a=1), Counter("aab"), OrderedDict(b=np.int8(1), a=2),
    {"mean": np.ones(3), 0: (Path("x"), [np.float64(2.0)]), (1, "a"): {1, 2}}, np.random.RandomState(0).get_state(),
    torch.Size([2]), None, [[], (), {}],
]  # fmt: skip


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(each, other[key]) for key, each in one.items())
    if isinstance(one, list | tuple | deque):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize("value", KEPT, ids=lambda value: type(value).__name__)
def test_numbers_arrays_paths_and_containers_come_back_as_they_were(value: Any, tmp_path: Path, capsys: Any):
    checkpoint = written(Keeps(value)) | {"callbacks": {"own": {"state": value}}}
    Files(Keeps(value)).save_checkpoint(checkpoint, tmp_path / "a.ckpt")
    found = Files(Keeps("a new one's")).load_checkpoint(tmp_path / "a.ckpt")
    assert same(found["kept"], value)
    assert same(found["callbacks"]["own"]["state"], value)
    assert not capsys.readouterr().err
    assert torch.load(tmp_path / "a.ckpt", weights_only=True).keys() >= {"kept", "state_dict"}
    assert same(checkpoint["kept"], value)  # what was given is as it was


def test_tensors_are_not_copied():
    checkpoint = {"state_dict": {"a": torch.ones(2)}, "list": [torch.ones(2)], "numbers": {1: 2.0}}
    packed, marks = pack(checkpoint)
    assert packed is checkpoint
    assert marks == {}
