"""What a user reads when training goes wrong, and what is left to go on with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningDataModule, LightningModule
from mlflow import MlflowClient
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from lab.errors import LabError
from lab.recipe import load
from lab.runner.fit import fit
from lab.runner.results import find_run
from lab.runner.resume import resume

WRONG: dict[str, Any] = {}  # what goes wrong in this test, and at which item


class Items(Dataset[Tensor]):
    def __len__(self) -> int:
        return 12

    def __getitem__(self, i: int) -> Tensor:
        if i == WRONG.get("item"):
            raise ValueError(f"row {i} is torn")
        return torch.full((3,), float(i))


class Data(LightningDataModule):
    """Twelve rows.

    Args:
        batch_size: rows in a batch.
    """

    def __init__(self, batch_size: int = 2) -> None:  # noqa: ARG002 - in hparams
        super().__init__()
        self.save_hyperparameters()

    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(Items(), self.hparams["batch_size"])

    def val_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(torch.zeros(2, 3), 2)  # type: ignore[arg-type]


class Net(LightningModule):
    """One layer.

    Args:
        lr: learning rate.
        manual: step by hand, and log the loss instead of returning it.
    """

    def __init__(self, lr: float = 1e-3, manual: bool = False) -> None:  # noqa: ARG002 - in hparams
        super().__init__()
        self.save_hyperparameters()
        self.layer = nn.Linear(3, 1)
        self.automatic_optimization = not manual

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor | None:
        loss = self.layer(batch).square().mean()
        at = (self.current_epoch, batch_idx)
        if at == WRONG.get("nan"):
            loss = loss * float("nan")
        if at == WRONG.get("memory"):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 40 GiB.")
        if at == WRONG.get("weights"):
            with torch.no_grad():
                self.layer.weight.fill_(float("inf"))
        if self.automatic_optimization:
            return loss
        self.optimizers().step()
        self.log("critic_loss", loss)
        return None

    def validation_step(self, batch: Tensor) -> None:
        self.log("val/loss", self.layer(batch).square().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.hparams["lr"])


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str) -> Path:
    WRONG.clear()
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "wrong.yaml"
    path.write_text(
        f"task: {{module: {__name__}:Net, data: {__name__}:Data, monitor: val/loss}}\n"
        "trainer: {max_epochs: 3, accelerator: cpu, devices: 1}\n"
        "checkpoint: {seconds: null, steps: 1}\n"
        f"track: {{system_metrics: false, uri: 'sqlite:///{database}'}}\n"
    )
    return path


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> str:
    """One for all tests."""
    return str(shutil.copy(empty_database, tmp_path_factory.mktemp("tracked")))


def message(recipe: Path, *overrides: str) -> str:
    with pytest.raises(LabError) as caught:
        fit(load(recipe, overrides))
    words = str(caught.value)
    assert "\n" not in words
    return words


def newest(database: str) -> Any:
    return find_run("last", f"sqlite:///{database}")


def last(database: str) -> dict[str, Any]:
    folder = Path(newest(database).data.tags["mlflow.lab.checkpoints"])
    kept: dict[str, Any] = torch.load(folder / "last.ckpt", weights_only=True)
    return kept


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_run_before_it_is_saved(recipe: Path, database: str):
    WRONG["nan"] = (1, 2)
    words = message(recipe)
    assert "the loss is nan after 9 batches (epoch 1)" in words
    assert "last.ckpt" in words
    assert "lower model.lr" in words
    assert newest(database).info.status == "FAILED"
    kept = last(database)
    assert kept["lab"]["results"] is not None
    assert all(tensor.isfinite().all() for tensor in kept["state_dict"].values())
    assert kept["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["completed"] == 8


@pytest.mark.slow
def test_so_does_one_that_is_only_logged(recipe: Path):
    WRONG["nan"] = (0, 3)
    assert "critic_loss is nan after 4 batches (epoch 0)" in message(recipe, "model.manual=true")


@pytest.mark.slow
def test_weights_that_are_no_numbers_are_never_saved(recipe: Path, database: str):
    WRONG["weights"] = (0, 4)
    assert "a parameter became NaN or infinite" in message(recipe, "model.manual=true")
    assert all(tensor.isfinite().all() for tensor in last(database)["state_dict"].values())


@pytest.mark.slow
def test_a_data_set_that_raises_is_named_with_the_batch_and_the_line(recipe: Path):
    WRONG["item"] = 7
    words = message(recipe)
    assert "in training, epoch 0, batch 3 (3 batches done): ValueError: row 7 is torn" in words
    assert "raised in Items.__getitem__ (" in words
    assert "test_failures.py:" in words
    assert "lab resume" in words


@pytest.mark.slow
def test_out_of_memory_names_the_key_to_lower(recipe: Path):
    WRONG["memory"] = (0, 1)
    words = message(recipe)
    assert "out of memory in training" in words
    assert "lower data.batch_size (now 2)" in words


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(recipe: Path, database: str, capsys: Any):
    WRONG["item"] = 9
    message(recipe)
    run = newest(database)
    folder = Path(run.data.tags["mlflow.lab.checkpoints"])
    content = bytearray((folder / "last.ckpt").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "last.ckpt").write_bytes(content)
    WRONG.clear()
    result = resume(run.info.run_id, f"sqlite:///{database}")
    assert "skipped the damaged checkpoint last.ckpt" in capsys.readouterr().err
    assert (result.status, result.run_id) == ("FINISHED", run.info.run_id)

    whole = fit(load(recipe))
    assert result.last is not None
    assert whole.last is not None
    first, second = (torch.load(path, weights_only=True)["state_dict"] for path in (result.last, whole.last))
    assert all(torch.equal(first[name], second[name]) for name in second)
    history = MlflowClient(whole.uri).get_metric_history(whole.run_id, "val/loss")
    resumed = MlflowClient(whole.uri).get_metric_history(run.info.run_id, "val/loss")
    assert [(value.step, value.value) for value in resumed] == [(value.step, value.value) for value in history]


@pytest.mark.slow
def test_two_damaged_checkpoints_are_an_error_and_stay(recipe: Path, database: str):
    WRONG["item"] = 9
    message(recipe)
    run = newest(database)
    folder = Path(run.data.tags["mlflow.lab.checkpoints"])
    for name in ("last.ckpt", "previous.ckpt"):
        (folder / name).write_bytes(b"torn")
    with pytest.raises(LabError, match=r"no checkpoint in .* can be read"):
        resume(run.info.run_id, f"sqlite:///{database}")
    assert {path.name for path in folder.glob("*.broken")} == {"last.broken", "previous.broken"}


@pytest.mark.slow
def test_a_finished_run_is_not_resumed(recipe: Path):
    result = fit(load(recipe))
    with pytest.raises(LabError, match="is finished"):
        resume(result.run_id, result.uri)
    assert result.last is not None
    assert {path.name for path in result.last.parent.iterdir()} == {"best.ckpt", "last.ckpt", "data.json"}


@pytest.mark.slow
def test_a_module_that_leaves_the_process_is_a_failure_with_its_line(recipe: Path, monkeypatch: Any):
    def leave(*_: Any) -> None:
        raise SystemExit("no licence")

    monkeypatch.setattr(Net, "training_step", leave)
    with pytest.raises(LabError, match=r"in training, epoch 0, batch 1 .*: SystemExit: no licence; raised in .*leave"):
        fit(load(recipe))
    monkeypatch.setattr(Net, "configure_model", leave, raising=False)
    with pytest.raises(LabError, match="SystemExit: no licence"):
        fit(load(recipe))
