"""A run whose data has changed place while it was interrupted: resumed, tested and resumed again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from lab.cli import main
from lab.errors import Problem, RecipeError
from lab.recipe import load
from lab.runner.recorded import with_moved_data
from tests.runner.projects import Judged, loader

pytestmark = pytest.mark.slow  # each trains


class Stored(L.LightningDataModule):
    """Rows of a file.

    Args:
        path: the file.
        batch_size: rows in a batch.
    """

    def __init__(self, path: str, batch_size: int = 8) -> None:
        super().__init__()
        self.path, self.batch_size = path, batch_size

    def setup(self, stage: str) -> None:  # noqa: ARG002  Lightning's
        self.rows = torch.load(self.path, weights_only=True)

    def train_dataloader(self) -> DataLoader:
        return loader(len(self.rows), self.batch_size)

    val_dataloader = test_dataloader = train_dataloader


class Fragile(Judged):
    """Fails where there is a file `fail`."""

    def on_train_epoch_start(self) -> None:
        if Path("fail").exists() and self.current_epoch == 1:
            raise RuntimeError("a disk is gone")


@pytest.fixture
def lab(tracked: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    monkeypatch.chdir(tracked)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main(words)
        return leaving.value.code, *capsys.readouterr()  # type: ignore[return-value]

    return call


@pytest.fixture
def interrupted(lab: Any) -> str:
    """A run that failed, after which its data was moved from `old.pt` to `new.pt`."""
    torch.save(torch.zeros(32), "old.pt")
    Path("fail").touch()
    name = f"{__name__}:"
    Path("r.yaml").write_text(
        f"task: {{module: '{name}Fragile', data: '{name}Stored', monitor: valid_loss}}\n"
        "data: {path: old.pt}\ntrainer: {max_epochs: 3, accelerator: cpu}\ntrack: {system_metrics: false}\n"
    )
    code, _, err = lab("run", "r.yaml")
    assert code == 1
    assert "a disk is gone" in err
    Path("old.pt").rename("new.pt")
    return "r"


def test_it_goes_on_with_the_new_path_and_is_tested_with_it(lab: Any, interrupted: str) -> None:
    code, _, err = lab("resume", interrupted)
    assert code != 0
    assert "old.pt" in err, "the file that is missing is named"
    code, _, err = lab("resume", interrupted, "data.path=new.pt")
    assert code == 1, "it fails once more"
    Path("new.pt").rename("newest.pt")
    code, _, err = lab("resume", interrupted, "data.path=newest.pt", "threads=1")
    assert code == 1
    Path("fail").unlink()
    code, out, err = lab("resume", interrupted)
    assert code == 0, err
    assert out.startswith("FINISHED r")
    code, out, err = lab("eval", interrupted, "--json")
    assert code == 0, err
    assert json.loads(out)["test_loss"] >= 0
    Path("newest.pt").rename("elsewhere.pt")
    assert lab("eval", interrupted)[0] != 0
    assert lab("eval", interrupted, "data.path=elsewhere.pt")[0] == 0, "what is typed wins"


REFUSED = ["data.batch_size=4", "seed=1", "trainer.max_epochs=9", "data={}", "model.lr=1", "task=ddpg", "data.pth=x"]


def test_what_decides_what_is_learnt_is_refused_and_an_unknown_key(lab: Any, interrupted: str) -> None:
    for setting in REFUSED:
        code, out, err = lab("resume", interrupted, setting, "data.path=new.pt")
        assert (code, out) == (2, "")
        key = setting.partition("=")[0]
        assert f"override {setting}: {key}: cannot change while a run is resumed" in err
        assert "1 problem" in err
    code, _, err = lab("resume", interrupted, "data.root=new.pt")
    assert code == 2
    assert "data.root: unknown key 'root'" in err


def test_what_is_missing_is_said_with_the_command_that_takes_the_new_place(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("task: series\ndata: {path: old.csv, batch_size: 8}\n")
    error = RecipeError([Problem("r", "data.path", "there is no old.csv"), Problem("r", "model.lr", "too large")])
    for command, step in {"lab eval 12ab": "lab eval 12ab data.path=...", "": "put it back"}.items():
        moved, other = with_moved_data(error, load(tmp_path / "r.yaml"), command).problems
        assert moved.message == f"there is no old.csv; if it has moved: {step}"
        assert other.message == "too large"
