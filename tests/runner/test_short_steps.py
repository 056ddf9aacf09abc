"""Short steps give the numbers of Lightning's own, and are taken only where nobody would notice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.profilers import SimpleProfiler
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from lab.descent import Descent, Figures
from lab.runner.loop import Optimization, Silent, shorten

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
    settings = {"profiler": Silent() if short else None} | settings
    trainer = Trainer(accelerator="cpu", devices=1, max_epochs=2, logger=False, log_every_n_steps=2, **QUIET | settings)
    if short:
        shorten(trainer)
    trainer.fit(module, DataLoader(TensorDataset(inputs, inputs.sum(1)), 4))
    return trainer, module


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
    for name, value in expected.state_dict().items():
        assert torch.equal(module.state_dict()[name], value), name
    assert trainer.fit_loop.state_dict() == usual.fit_loop.state_dict()
    assert trainer.global_step == usual.global_step
    assert trainer.callback_metrics == usual.callback_metrics


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


def test_a_profiler_sees_the_parts_of_a_step() -> None:
    profiler = SimpleProfiler()
    trainer, _ = trained(True, profiler=profiler)
    assert not step(trainer).short
    assert len(profiler.recorded_durations["[LightningModule]Line.optimizer_step"]) == 10
