"""Callbacks that a module or a recipe brings, beside those of the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor

from lab.engine.project.run_folder import distinguish
from lab.errors import LabError
from lab.runner.results import RunResult
from lab.runner.resume import resume
from tests.runner.projects import Judged, Run

pytestmark = pytest.mark.slow  # whole trainings, if short ones

CALLBACKS = "lightning.pytorch.callbacks"
CHECKPOINT = f"{CALLBACKS}.ModelCheckpoint"


def files(result: RunResult) -> set[str]:
    """Every checkpoint among the run's artifacts, and none beside them."""
    assert result.best is not None
    artifacts = result.best.parents[1]
    assert set(Path.cwd().rglob("*.ckpt")) == set(artifacts.rglob("*.ckpt"))
    return {str(path.relative_to(artifacts)) for path in artifacts.rglob("*.ckpt")}


class OwnCheckpoint(Judged):
    def configure_callbacks(self) -> list[Callback]:
        return [
            ModelCheckpoint(monitor="valid_loss", filename="mine", save_last=True),
            ModelCheckpoint(monitor="valid_loss", filename="best"),
            EarlyStopping("valid_loss"),
        ]


def test_a_modules_own_checkpoints_lie_beside_those_of_the_run(run: Run) -> None:
    result = run(OwnCheckpoint)
    assert result.best is not None
    assert result.best.name == "best.ckpt"
    own = {"logs/checkpoints/mine.ckpt", "logs/checkpoints/last.ckpt", "logs/checkpoints/best.ckpt"}
    assert files(result) == {"checkpoints/best.ckpt", "checkpoints/last.ckpt"} | own
    alone = run(Judged)
    assert alone.score == result.score


def test_a_recipes_own_checkpoints_on_the_tasks_monitor(run: Run) -> None:
    entry = f"  - {{class_path: {CHECKPOINT}, init_args: {{monitor: valid_loss, save_top_k: 3"
    more = f"callbacks:\n{entry}}}}}\n{entry}, filename: '{{epoch}}'}}}}\n"
    result = run(Judged, more=more)
    found = files(result)
    assert {"checkpoints/best.ckpt", "checkpoints/last.ckpt", "logs/checkpoints/epoch=0.ckpt"} <= found
    assert len(found) == 6


@pytest.mark.parametrize("name", ["RichProgressBar", "TQDMProgressBar"])
def test_lightnings_own_displays(run: Run, name: str, capsys) -> None:
    kinds = [name, "RichModelSummary", "LearningRateMonitor", "DeviceStatsMonitor", "Timer"]
    entries = "".join(f"  - {{class_path: {CALLBACKS}.{kind}}}\n" for kind in kinds)
    result = run(Judged, more=f"callbacks:\n{entries}")
    assert result.status == "FINISHED"
    assert "lr-SGD" in result.metrics or result.score is not None
    assert run(Judged).score == result.score


class Bars(Judged):
    def configure_callbacks(self) -> list[Callback]:
        from lightning.pytorch.callbacks import RichProgressBar

        return [RichProgressBar()]


def test_a_modules_own_progress_bar(run: Run) -> None:
    assert run(Bars).status == "FINISHED"


class Counter(Callback):
    """Counts batches; one of the two stops the first life of a run."""

    counts: list[int] = []  # noqa: RUF012
    stop = False

    def __init__(self) -> None:
        self.count = 0

    def on_train_batch_end(self, *_: object) -> None:
        self.count += 1
        if Counter.stop and self.count == 6:
            raise RuntimeError

    def on_train_end(self, *_: object) -> None:
        Counter.counts.append(self.count)

    def state_dict(self) -> dict[str, int]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.count = state["count"]


class Counting(OwnCheckpoint):
    def configure_callbacks(self) -> list[Callback]:
        return [*super().configure_callbacks(), Counter(), Counter()]

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        return super().training_step(batch) * (1 + torch.rand(()))


def test_a_resumed_run_restores_every_callback_and_ends_with_the_same_bits(run: Run, monkeypatch) -> None:
    settings = ("checkpoint.seconds=null", "checkpoint.steps=1")
    Counter.counts.clear()
    whole = run(Counting, settings=settings)
    assert Counter.counts == [8, 8]
    monkeypatch.setattr(Counter, "stop", True)
    with pytest.raises(LabError):
        run(Counting, settings=settings)
    monkeypatch.setattr(Counter, "stop", False)
    again = resume("last")
    assert Counter.counts == [8, 8, 8, 8]
    assert again.score == whole.score
    assert {name.split("/", 1)[1] for name in files_of(again)} == {name.split("/", 1)[1] for name in files_of(whole)}


def files_of(result: RunResult) -> list[str]:
    assert result.best is not None
    return [str(path.relative_to(result.best.parents[1])) for path in result.best.parents[1].rglob("*.ckpt")]


def test_callbacks_that_would_share_a_name_in_a_checkpoint_get_names_of_their_own() -> None:
    callbacks = [EarlyStopping("a"), EarlyStopping("a"), EarlyStopping("b"), EarlyStopping("a")]
    distinguish(callbacks)
    distinguish(callbacks)
    keys = [callback.state_key for callback in callbacks]
    assert len(set(keys)) == 4
    assert keys[0] == EarlyStopping("a").state_key
    assert [type(callback).__qualname__ for callback in callbacks] == ["EarlyStopping"] * 4


class Unoptimized(Judged):
    """Learns by a rule of its own, without an optimizer."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: list[Tensor]) -> None:
        with torch.no_grad():
            self.layer.weight.add_(0.01 * batch[0].mean())

    def configure_optimizers(self) -> None:
        return None


def test_a_module_without_optimizer_steps_is_told_why_it_has_no_best_checkpoint(run: Run) -> None:
    with pytest.warns(UserWarning, match=r"no best.ckpt: .* only after an optimizer step"):
        result = run(Unoptimized)
    assert result.best is None
