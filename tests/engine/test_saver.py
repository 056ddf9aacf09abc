"""When a run is saved, which files are kept, which is passed over, and what ends a training early."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lab.engine import saver as saving
from lab.engine.checkpoint import LAST, PREVIOUS, Files, usable
from lab.engine.nan_guard import TerminateOnNaN
from lab.engine.progress import BestCheckpoint
from lab.engine.pruning import Pruned, PruningCallback
from lab.engine.saver import Saver
from lab.engine.signals import SignalHandler, Stopped
from lab.errors import LabError
from tests.processes import Started


class Net(LightningModule):
    """One layer, trained on zeros, with a loss of the test's choice.

    Args:
        losses: of the batches, in their order; 0 from then on.
        returned: returned from the step, or logged under this name.
    """

    def __init__(self, losses: tuple[float, ...] = (), returned: str = "") -> None:
        super().__init__()
        self.losses, self.returned = iter(losses), returned
        self.layer = nn.Linear(1, 1)
        self.automatic_optimization = not returned

    def training_step(self, batch: Tensor) -> Tensor | None:
        loss = self.layer(batch).sum() * 0 + next(self.losses, 0.0)
        if not self.returned:
            return loss
        self.optimizers().step()
        self.log(self.returned, loss)
        return None

    def validation_step(self, batch: Tensor) -> None:
        self.log("val/loss", self.layer(batch).sum())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


ROWS = DataLoader(torch.zeros(8, 1))  # type: ignore[arg-type]


def fit(
    module: Net, folder: Path, saver: Saver | None = None, *callbacks: Any, rows: Any = ROWS, **settings: Any
) -> Trainer:
    """Eight batches an epoch, one epoch."""
    saver = saver or Saver(0, None, None, SignalHandler())
    saver.folder = folder
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    chosen: dict[str, Any] = (
        quiet
        | {"accelerator": "cpu", "devices": 1, "max_epochs": 1, "limit_val_batches": 0, "num_sanity_val_steps": 0}
        | settings
    )
    trainer = Trainer(**chosen, plugins=[Files()], callbacks=[*callbacks, TerminateOnNaN(saver), saver])
    trainer.fit(module, rows, rows)
    return trainer


def saved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batches after which a checkpoint is written from now on."""
    found: list[int] = []
    save = Saver.save

    def noted(self: Saver, trainer: Trainer, **how: Any) -> None:
        found.append(trainer.fit_loop.epoch_loop.batch_progress.total.completed)
        save(self, trainer, **how)

    monkeypatch.setattr(Saver, "save", noted)
    return found


def test_steps_between_two_checkpoints_are_kept_to_the_letter(folder: Path, monkeypatch: pytest.MonkeyPatch):
    found = saved(monkeypatch)
    fit(Net(), folder, Saver(0, None, 3, SignalHandler()))
    assert found == [3, 6, 8], "and the end of the training"


@pytest.mark.parametrize(("cost", "expected"), [(0.0, [2, 4, 6, 8]), (0.2, [8])])
def test_saving_takes_no_more_than_its_share(cost: float, expected: list[int], folder: Path, monkeypatch: Any):
    found = saved(monkeypatch)
    save = Saver.save

    def slow(self: Saver, trainer: Trainer, **how: Any) -> None:
        save(self, trainer, **how)
        self.cost = cost

    monkeypatch.setattr(Saver, "save", slow)
    saver = Saver(0, 1.5, None, SignalHandler())
    saver.cost = cost
    batch = [0.0]
    monkeypatch.setattr(saving.time, "monotonic", lambda: batch[0])

    class Clock(saving.Checkpoint):
        def on_train_batch_start(self, *_: Any) -> None:
            batch[0] += 1

    fit(Net(), folder, saver, Clock())
    assert found == expected, "each batch takes a second"


def test_the_checkpoint_before_is_kept_and_taken_if_the_last_is_damaged(folder: Path, capsys: Any):
    fit(Net(), folder, Saver(0, None, 3, SignalHandler()))
    assert usable(folder) == folder / LAST
    (folder / LAST).write_bytes((folder / LAST).read_bytes()[:-100])
    assert usable(folder) == folder / PREVIOUS
    assert "skipped the damaged checkpoint last.ckpt" in capsys.readouterr().err
    (folder / PREVIOUS).write_bytes(b"")
    with pytest.raises(LabError, match=r"no checkpoint in .* can be read"):
        usable(folder)
    assert usable(folder / "empty") is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["", "critic_loss"])
def test_a_loss_that_is_nan_or_infinite_ends_the_training(value: float, name: str, folder: Path):
    with pytest.raises(LabError, match=f"{name or 'the loss'} is {value} after 3 batches .epoch 0.; there is no"):
        fit(Net((1.0, 1.0, value), name), folder)


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_one_parameter_that_is_not_finite_is_enough_to_save_nothing(name: str, folder: Path):
    class Broken(Net):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Linear(1, 1)  # so that the loss does not tell

        def on_train_batch_end(self, outputs: Any, batch: Tensor, batch_idx: int) -> None:  # noqa: ARG002
            if batch_idx == 4:
                getattr(self.unused, name).data.fill_(math.nan)

    with pytest.raises(LabError, match="a parameter became NaN or infinite; the last good checkpoint is"):
        fit(Broken(), folder, Saver(0, None, 3, SignalHandler()))
    state = torch.load(folder / LAST, weights_only=True)["state_dict"]
    assert all(bool(values.isfinite().all()) for values in state.values())


def test_another_metric_may_be_nan(folder: Path):
    fit(Net((math.nan,), "return"), folder)


def test_a_validation_loss_that_is_nan_ends_the_training(folder: Path):
    class Broken(Net):
        def validation_step(self, batch: Tensor) -> None:  # noqa: ARG002
            self.log("val/loss", math.nan)

    with pytest.raises(LabError, match="val/loss is nan after 2 batches"):
        fit(Broken(), folder, None, limit_val_batches=1.0, val_check_interval=2)


def test_the_best_checkpoint_is_that_of_the_best_validation(folder: Path):
    best, values = BestCheckpoint("val/score", "min", lambda _: None), iter((3.0, 1.0, 2.0))
    best.dirpath = str(folder)

    class Scored(Net):
        def validation_step(self, batch: Tensor) -> None:  # noqa: ARG002
            self.log("val/score", next(values))

    fit(Scored(), folder, None, best, limit_val_batches=1, max_epochs=3)
    assert float(best.best_model_score) == 1.0
    assert torch.load(folder / "best.ckpt", weights_only=True)["epoch"] == 1


def test_pruning_hears_every_validation_and_ends_the_run(folder: Path):
    heard: list[tuple[int, dict[str, float]]] = []

    def validated(position: int, metrics: dict[str, float]) -> bool:
        heard.append((position, metrics))
        return position == 2

    with pytest.raises(Pruned):
        fit(Net(), folder, None, PruningCallback(lambda _: None, validated), limit_val_batches=1, max_epochs=5)
    assert [position for position, _ in heard] == [1, 2], "counted in epochs, from one"
    assert "val/loss" in heard[0][1]


@pytest.fixture
def handler() -> Iterator[SignalHandler]:
    handler = SignalHandler()
    with handler.installed(on_second=lambda: None):
        yield handler


def test_a_signal_is_deferred_only_where_somebody_looks_at_it(handler: SignalHandler, capsys: Any):
    handler.deferred = True
    os.kill(os.getpid(), signal.SIGINT)
    assert handler.received == signal.SIGINT
    assert "stopping after this batch; press Ctrl-C again to quit now" in capsys.readouterr().err
    handler.received, handler.deferred = None, False
    with pytest.raises(Stopped, match="SIGTERM"):
        os.kill(os.getpid(), signal.SIGTERM)


def test_in_a_notebook_the_second_signal_stops_the_training_and_the_first_one_is_remembered(
    handler: SignalHandler, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("lab.engine.signals.interactive", lambda: True)
    handler.deferred = True
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(Stopped, match="SIGTERM"):
        os.kill(os.getpid(), signal.SIGTERM)
    assert handler.received == signal.SIGINT


@pytest.mark.slow
def test_the_second_signal_ends_the_process_at_once(tmp_path: Path):
    (tmp_path / "impatient.py").write_text(
        "import os, signal, time\n"
        "from lab.engine.signals import SignalHandler\n"
        "handler = SignalHandler()\n"
        "with handler.installed(on_second=lambda: print('last words', flush=True)):\n"
        "    handler.deferred = True\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('still here')\n"
    )
    process = Started(tmp_path, "impatient")
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "last words\n"), err


def test_the_order_of_the_data_changes_with_the_epoch_and_follows_from_the_seed(folder: Path):
    seen: list[float] = []

    class Watched(Net):
        def train_dataloader(self) -> DataLoader[Any]:
            return DataLoader(torch.arange(8.0).unsqueeze(1), shuffle=True)  # type: ignore[arg-type]

        def training_step(self, batch: Tensor) -> Tensor | None:
            seen.append(float(batch))
            return super().training_step(batch)

    orders = []
    for seed in (3, 3, 4):
        seen.clear()
        saver = Saver(seed, None, None, SignalHandler())
        fit(Watched(), folder, saver, rows=None, max_epochs=2)
        assert sorted(seen[:8]) == sorted(seen[8:]) == list(range(8))
        assert seen[:8] != seen[8:]
        orders.append(tuple(seen))
    assert orders[0] == orders[1] != orders[2]
