"""Short steps give the numbers of Lightning's own, and are taken only where nobody would notice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.profilers import SimpleProfiler
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MeanMetric

from lab.engine.loop import Epoch, Optimization, shorten
from lab.learning.supervised import Descent, Figures

QUIET: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}


class Line(Descent):
    """A small network with dropout, which draws from the global generator."""

    def __init__(self) -> None:
        super().__init__(0.1, 0.0, "cosine", 0.01)
        self.network = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.1), torch.nn.Linear(8, 1))

    def learn(self, batch: list[Tensor], done: float) -> tuple[Tensor, Figures]:  # noqa: ARG002
        return (self.network(batch[0])[:, 0] - batch[1]).square().mean(), dict


class Told(Line):
    def training_step(self, batch: Any, batch_idx: int) -> Any:  # type: ignore[override]
        return {"loss": super().training_step(batch), "seen": batch_idx}


class Skipping(Line):
    def training_step(self, batch: Any) -> Any:
        loss = super().training_step(batch)
        return None if self.trainer.global_step % 3 == 1 else loss


class Clipping(Line):
    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 0.1)


class Logging(Line):
    """Logs in some steps only, of a step, of an epoch and of a metric."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = MeanMetric()

    def training_step(self, batch: Any) -> Tensor:
        loss, _ = self.learn(batch, 0.0)
        self.mean(loss)
        if self.trainer.global_step % 5:  # nothing at the beginning of an epoch
            self.log("both", loss, on_step=True, on_epoch=True, prog_bar=True)
            self.log("mean", self.mean, on_step=False, on_epoch=True)
        return loss


class History(DummyLogger):
    def __init__(self) -> None:
        super().__init__()
        self.lines = list[Any]()

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.lines.append((step, metrics))


class Seen(Callback):
    def __init__(self) -> None:
        self.metrics = list[Any]()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        pl_module.log("seen", float(len(self.metrics)))
        self.metrics.append((dict(trainer.callback_metrics), dict(trainer.progress_bar_metrics)))


class Doubling(LightningDataModule):
    """Handles batches itself, after they were moved."""

    def train_dataloader(self) -> DataLoader[Any]:
        inputs = torch.arange(60.0).view(20, 3) / 60
        return DataLoader(TensorDataset(inputs, inputs.sum(1)), 4)

    def on_after_batch_transfer(self, batch: list[Tensor], dataloader_idx: int) -> list[Tensor]:  # noqa: ARG002
        return [2 * part for part in batch]


class Listener(Callback):
    def __init__(self) -> None:
        self.backwards = 0

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self.backwards += 1


class Collector(Callback):
    def __init__(self) -> None:
        self.outputs = list[Any]()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:  # noqa: ARG002
        self.outputs.append(outputs)


def trained(short: bool, kind: type[Line] = Line, **settings: Any) -> tuple[Trainer, Line]:
    """The Trainer and the module after two epochs of five batches."""
    torch.manual_seed(0)
    module, inputs = kind(), torch.randn(20, 3)
    settings = {"logger": False, "log_every_n_steps": 2} | settings
    trainer = Trainer(accelerator="cpu", devices=1, max_epochs=2, **QUIET | settings)
    if short:
        shorten(trainer)
    trainer.fit(module, DataLoader(TensorDataset(inputs, inputs.sum(1)), 4))
    return trainer, module


class Validated(Line):
    def __init__(self) -> None:
        super().__init__()
        self.validated_at = list[int]()

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.ones(4, 3), torch.ones(4)), 4)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:  # noqa: ARG002
        self.log("val/loss", self.learn(batch, 0.0)[0])
        self.validated_at.append(self.trainer.global_step)


class ByHand(Line):
    """Two steps of the optimiser for each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:  # type: ignore[override]
        optimizer: Any = self.optimizers()
        for _ in range(2):
            optimizer.zero_grad()
            loss, _figures = self.learn(batch, 0.0)
            self.manual_backward(loss)
            optimizer.step()
        self.log("train/loss", loss)
        return {"seen": batch_idx}


class Scheduled(Line):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), 0.1)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Gaps(LightningDataModule):
    """Every third batch is none."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(
            range(6), 1, collate_fn=lambda i: None if i[0] % 3 == 1 else [torch.ones(4, 3), torch.ones(4)]
        )


class Stopper(Callback):
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:  # noqa: ARG002
        trainer.should_stop = trainer.fit_loop.epoch_loop.total_batch_idx == 6


def agree(ours: tuple[Trainer, Line], theirs: tuple[Trainer, Line]) -> None:
    (trainer, module), (usual, expected) = ours, theirs
    for name, value in expected.state_dict().items():
        assert torch.equal(module.state_dict()[name], value), name
    assert trainer.fit_loop.state_dict() == usual.fit_loop.state_dict()
    assert trainer.global_step == usual.global_step
    assert trainer.callback_metrics == usual.callback_metrics


def step(trainer: Trainer) -> Optimization:
    found = trainer.fit_loop.epoch_loop.automatic_optimization
    assert isinstance(found, Optimization)
    return found


@pytest.mark.parametrize(
    ("kind", "settings", "short"),
    [
        (Line, {}, True),
        (Line, {"accumulate_grad_batches": 2}, True),
        (Line, {"gradient_clip_val": 0.1}, True),
        (Line, {"precision": "bf16-mixed"}, True),
        (Told, {}, True),
        (Skipping, {}, True),
        (Clipping, {}, False),
    ],
)
def test_short_steps_give_the_same_numbers(kind: type[Line], settings: dict[str, Any], short: bool) -> None:
    trainer, module = trained(True, kind, **settings)
    usual, expected = trained(False, kind, **settings)
    assert step(trainer).short is short
    agree((trainer, module), (usual, expected))


@pytest.mark.parametrize("every", [1, 2])
def test_the_same_is_logged_and_seen(every: int) -> None:
    """That is, what is gathered in one step is not kept for another in which more was logged."""
    found = []
    for short in (True, False):
        history, seen = History(), Seen()
        trained(short, Logging, logger=history, callbacks=[seen], log_every_n_steps=every)
        found.append((history.lines, seen.metrics))
    assert found[0] == found[1]
    assert len(found[0][0]) > 2


@pytest.mark.parametrize(
    ("kind", "settings", "short"),
    [
        (Line, {}, 8),  # the last of an epoch is Lightning's
        (Line, {"limit_train_batches": 3}, 4),
        (Line, {"max_steps": 7}, 5),
        (Line, {"fast_dev_run": True}, 0),
        (Validated, {"val_check_interval": 2}, 4),
        (Validated, {"val_check_interval": 3, "check_val_every_n_epoch": None}, 5),
        (Validated, {"check_val_every_n_epoch": 2}, 8),
        (Validated, {"callbacks": [Stopper()]}, 6),
        (Validated, {"callbacks": [Stopper()], "min_epochs": 2}, 7),
        (ByHand, {}, 8),
        (ByHand, {"max_steps": 12}, 0),
        (Scheduled, {}, 0),
        (Clipping, {}, 8),
    ],
)
def test_what_is_due_comes_in_its_time(
    kind: type[Line], settings: dict[str, Any], short: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, usual_step = [0], Epoch.short_step

    def counted(self: Epoch, fetcher: Any) -> Any:
        take = usual_step(self, fetcher)

        def one() -> None:
            taken[0] += 1
            take()

        return one

    monkeypatch.setattr(Epoch, "short_step", counted)
    histories = [History(), History()]
    ours, theirs = (trained(i == 0, kind, **{"logger": histories[i]} | settings) for i in range(2))
    assert taken == [short]
    assert histories[0].lines == histories[1].lines
    assert getattr(ours[1], "validated_at", None) == getattr(theirs[1], "validated_at", None)
    agree(ours, theirs)


def test_a_batch_that_is_none_is_passed_over() -> None:
    found = []
    for short in (True, False):
        module, data = Line(), Gaps()
        trainer = Trainer(accelerator="cpu", devices=1, max_epochs=1, logger=False, **QUIET)
        if short:
            shorten(trainer)
        with pytest.warns(UserWarning, match="None"):
            trainer.fit(module, data)
        found.append((trainer.global_step, trainer.fit_loop.state_dict()))
    assert found[0] == found[1]
    assert found[0][0] == 4


def test_batches_pass_through_the_hooks_of_the_data() -> None:
    found = []
    for short in (True, False):
        torch.manual_seed(0)
        module, data = Line(), Doubling()
        trainer = Trainer(accelerator="cpu", devices=1, max_epochs=1, logger=False, **QUIET)
        if short:
            shorten(trainer)
        trainer.fit(module, data)
        found.append(module.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_a_callback_hears_of_every_step() -> None:
    listener, collector = Listener(), Collector()
    trainer, _ = trained(True, Told, callbacks=[listener, collector])
    assert not step(trainer).short
    assert listener.backwards == len(collector.outputs) == 10
    assert [output["seen"] for output in collector.outputs] == [0, 1, 2, 3, 4] * 2


def test_a_callback_that_needs_no_part_of_a_step_leaves_it_short() -> None:
    collector = Collector()
    trainer, _ = trained(True, callbacks=[collector])
    assert step(trainer).short
    assert all(not output["loss"].requires_grad for output in collector.outputs)
    assert len(collector.outputs) == 10


class Undecided(Line):
    def training_step(self, batch: Any) -> Tensor:
        loss = super().training_step(batch)
        self.log("loss", loss, prog_bar=self.trainer.global_step == 3)
        return loss


def test_a_name_that_is_logged_in_two_ways_is_refused() -> None:
    for short in (True, False):
        with pytest.raises(MisconfigurationException, match="twice"):
            trained(short, Undecided)


class Hooked(Line):
    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.stepped = list[int]()
        optimizer = super().configure_optimizers()
        optimizer.register_step_post_hook(lambda *_: self.stepped.append(self.trainer.global_step))
        return optimizer


def test_the_hooks_of_an_optimiser_run() -> None:
    assert trained(True, Hooked)[1].stepped == trained(False, Hooked)[1].stepped == list(range(10))


def test_a_profiler_sees_the_parts_of_a_step() -> None:
    profiler = SimpleProfiler()
    trainer, _ = trained(True, profiler=profiler)
    assert not step(trainer).short
    assert len(profiler.recorded_durations["[LightningModule]Line.optimizer_step"]) == 10
