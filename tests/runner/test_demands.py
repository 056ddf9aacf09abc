"""What Lightning refuses after the start of a run is refused before it, with file, line, key and a way out."""

# ruff: noqa: ARG002 - hooks and constructors as projects write them

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from lightning import LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lab.errors import RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.task import Task, lookalikes
from tests.runner.projects import Judged, Line, Rows, loader

QUIET: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False} | {
    "enable_model_summary": False,
    "accelerator": "cpu",
    "max_epochs": 1,
}


class NoStep(LightningModule):
    configure_optimizers = Line.configure_optimizers

    def train_step(self, batch: list[Tensor]) -> Tensor:
        return batch[0].sum()


class Search(LightningModule):
    """Searches the settings of another model, in a method of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds, self.base, self.model = [Line], LightningModule, Line


class NoOptimizer(LightningModule):
    training_step = Line.training_step


class OldEnd(Judged):
    def training_epoch_end(self, outputs: list[Any]) -> None: ...


class OldTestEnd(Judged):
    def test_epoch_end(self, outputs: list[Any]) -> None: ...


class Outputs(Judged):
    def on_train_epoch_end(self, outputs: list[Any]) -> None:
        raise AssertionError("it was called")


class ManyOptimizers(Judged):
    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_idx: int, closure: Any) -> None: ...


class ShortEnd(Judged):
    def on_train_batch_end(self, outputs: Any) -> None: ...


class Manual(Judged):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False


class Saved(Judged):
    def __init__(self, width: int = 2, depth: int = 1) -> None:
        super().__init__()
        self.save_hyperparameters()


class SetUp(Rows):
    def setup(self) -> None: ...  # type: ignore[override]


class NoValidation(L.LightningDataModule):
    def train_dataloader(self) -> DataLoader:
        return loader()


class SavedRows(Rows):
    def __init__(self, width: int = 3, depth: int = 1) -> None:
        super().__init__()
        self.save_hyperparameters()


class Unlogged(Rows):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)


def problem(module: type, data: type = Rows, *settings: str, monitor: str | None = "valid_loss") -> tuple[str, str]:
    """The only complaint about a recipe of such a task: where and key, and what is wrong."""
    names = {"module": module, "data": data}
    words = {key: f"{value.__module__}:{value.__name__}" for key, value in names.items()}
    entries = ", ".join(
        f"{key}: '{value}'" for key, value in (words | ({"monitor": monitor} if monitor else {})).items()
    )
    Path("r.yaml").write_text(f"task: {{{entries}}}\ntrainer:\n  max_epochs: 1\n  accelerator: cpu\n")
    with pytest.raises(RecipeError) as error:
        assemble(load("r.yaml", settings))
    (found,) = error.value.problems
    assert "\n" not in found.message
    return f"{found.where}: {found.key}", found.message


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("module", "data", "where", "said"),
    [
        (NoStep, Rows, "r.yaml:1: task.module", "NoStep has no training_step.*; rename train_step"),
        (Search, Rows, "r.yaml:1: task.module", "Search has no training_step,.* holds, tests.runner.projects:Line; "),
        (NoOptimizer, Rows, "r.yaml:1: task.module", "NoOptimizer has no configure_optimizers,.* or set `optimizer`"),
        (OldEnd, Rows, "r.yaml:1: task.module", r"OldEnd.training_epoch_end \(.*py:\d+\): write on_train_epoch_end"),
        (OldTestEnd, Rows, "r.yaml:1: task.module", "refuses OldTestEnd.test_epoch_end .*: write on_test_epoch_end"),
        (Outputs, Rows, "r.yaml:1: task.module", r"Outputs.on_train_epoch_end \(.*\) wants outputs, which Lightning 2"),
        (ManyOptimizers, Rows, "r.yaml:1: task.module", "ManyOptimizers.optimizer_step .* wants closure, which"),
        (ShortEnd, Rows, "r.yaml:1: task.module", "ShortEnd.on_train_batch_end .* takes 1 of the 3 arguments"),
        (Judged, SetUp, "r.yaml:1: task.data", "SetUp.setup .* takes 0 of the 1 arguments"),
    ],
)  # fmt: skip
def test_what_lightning_refuses(module: type, data: type, where: str, said: str) -> None:
    found, message = problem(module, data, monitor=None)
    assert found == where
    assert re.search(said, message), message
    trainer = Trainer(**QUIET)
    run = trainer.test if module is OldTestEnd else trainer.fit
    with pytest.raises((MisconfigurationException, NotImplementedError, TypeError)):  # it does
        run(module(), datamodule=data())


@pytest.mark.parametrize(
    ("module", "data", "said"),
    [
        (Line, Rows, "'valid_loss' is never logged: Line has no validation_step"),
        (Judged, NoValidation, "'valid_loss' is never logged: NoValidation has no val_dataloader"),
    ],
)
def test_a_monitor_of_a_validation_that_never_is(module: type, data: type, said: str) -> None:
    found, message = problem(module, data)
    assert found == "r.yaml:1: task.monitor"
    assert message.startswith(said)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("trainer.gradient_clip_val=0.5", "cannot clip its gradients: leave this out"),
        ("trainer.accumulate_grad_batches=4", "cannot add up its gradients: leave this out"),
    ],
)
def test_manual_optimization(setting: str, said: str) -> None:
    found, message = problem(Manual, Rows, setting)
    key, _, value = setting.removeprefix("trainer.").partition("=")
    assert found == f"override {setting}: trainer.{key}"
    assert said in message
    with pytest.raises(MisconfigurationException):
        Trainer(**QUIET, **{key: float(value) if "." in value else int(value)}).fit(Manual(), datamodule=Rows())


def test_a_schedule_of_accumulation_under_manual_optimization() -> None:
    callbacks = (
        "[{class_path: lightning.pytorch.callbacks.GradientAccumulationScheduler, init_args: {scheduling: {0: 2}}}]"
    )
    found, message = problem(Manual, Rows, f"callbacks={callbacks}")
    assert found.endswith(": callbacks")
    assert "GradientAccumulationScheduler" in message


def test_an_agent_says_its_own_setting() -> None:
    recipe = load(find_recipe("ppo_cartpole"), ["trainer.gradient_clip_val=1.0", "trainer.accelerator=cpu"])
    with pytest.raises(RecipeError, match=r"leave this out; set model\.max_grad_norm"):
        assemble(recipe)


@pytest.mark.slow
def test_a_hyperparameter_with_two_values() -> None:
    found, message = problem(Saved, SavedRows)
    assert found == "r.yaml: model.width"
    assert "Saved and SavedRows both have a hyperparameter width, with other values, 2 and 3" in message
    assert "save_hyperparameters(logger=False)" in message
    for good in (problem_free(Saved, SavedRows, "model.width=3"), problem_free(Saved, Unlogged)):
        assert isinstance(good.module, Saved)


def problem_free(module: type, data: type, *settings: str) -> Any:
    words = f"{{module: '{module.__module__}:{module.__name__}', data: '{data.__module__}:{data.__name__}'}}"
    Path("r.yaml").write_text(f"task: {words}\ntrainer: {{max_epochs: 1, accelerator: cpu}}\n")
    return assemble(load("r.yaml", settings))


class Flexible(Judged):
    """Hooks as projects write them: with fewer arguments, more of them, or any."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(1, 1)

    def training_step(self, batch: Any, *_: Any) -> Any:
        return super().training_step(batch)

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        super().validation_step(batch)

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None: ...

    def on_validation_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None: ...

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)

    def setup(self, stage: str | None = None) -> None: ...

    def on_epoch_end(self) -> None: ...


def test_other_ways_to_write_hooks_are_fine() -> None:
    assert problem_free(Flexible, Rows, "task.monitor=valid_loss").task.monitor == "valid_loss"
    Trainer(**QUIET).fit(Flexible(), datamodule=Rows())
    (sentence,) = lookalikes(Task(Flexible, Rows, None, "min"))
    assert sentence.endswith("Flexible.on_epoch_end is never called by Lightning 2; write on_train_epoch_end")
