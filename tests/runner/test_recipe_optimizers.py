"""An optimizer and a schedule that the recipe names, for modules with and without their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning import LightningModule

from lab.errors import RecipeError
from lab.recipe import load
from lab.runner.assemble import assemble
from lab.runner.assembly import Assembly
from tests.runner.projects import Judged, Run

SGD = "optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.1}}"
HALVED = "lr_scheduler: {class_path: torch.optim.lr_scheduler.StepLR, init_args: {step_size: 1, gamma: 0.5}}"
PLATEAU = "{class_path: torch.optim.lr_scheduler.ReduceLROnPlateau}"


class Bare(Judged):
    """Leaves its optimizer to the recipe."""

    configure_optimizers = LightningModule.configure_optimizers


class Empty(LightningModule):
    """Has parameters only when the training begins."""

    training_step = Judged.training_step


class Manual(Judged):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False


def assembled(module: type, *settings: str, task: str = "monitor: valid_loss", more: str = SGD) -> Assembly:
    Path("r.yaml").write_text(
        f"task: {{module: '{__name__}:{module.__name__}', data: 'tests.runner.projects:Rows', {task}}}\n"
        f"trainer: {{max_epochs: 1, accelerator: cpu}}\n{more}\n"
    )
    return assemble(load("r.yaml", settings))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_the_recipes_optimizer_trains_as_the_same_one_in_the_module(run: Run) -> None:
    own, given, halved = run(Judged), run(Bare, more=SGD), run(Bare, more=f"{SGD}\n{HALVED}")
    weights = [torch.load(each.last, weights_only=True)["state_dict"]["layer.weight"] for each in (own, given, halved)]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])


def test_it_replaces_that_of_the_module_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lab")
    found = assembled(Judged, more="optimizer: {class_path: torch.optim.Adam}").module.configure_optimizers()
    assert type(found["optimizer"]) is torch.optim.Adam  # type: ignore[index,call-overload]
    assert "`optimizer` replaces Judged.configure_optimizers" in caplog.messages


def test_parameters_may_come_later() -> None:
    module = assembled(Empty, task="mode: min").module
    module.layer = torch.nn.Linear(2, 1)
    assert module.configure_optimizers()["optimizer"].param_groups[0]["params"] == [*module.parameters()]  # type: ignore


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["optimizer.init_args.lrr=1"], "optimizer.init_args.lrr: unknown key 'lrr'; did you mean 'lr'?"),
        (["optimizer.init_args.lr=-1"], "optimizer.init_args: SGD refuses its settings: .*Invalid learning rate"),
        (["optimizer.init_args.params=[]"], "optimizer.init_args.params: filled in by lab"),
        (["optimizer.class_path=torch.nn.Linear"], "optimizer.class_path: .*expected a subclass of torch.Optimizer"),
        (["optimizer.class_path=subprocess.Popen"], "optimizer.class_path: .* is in Python's standard library"),
        ([f"lr_scheduler={PLATEAU}", "task.mode=max"], "lr_scheduler.init_args.mode: expected 'max', the mode of"),
        ([f"lr_scheduler={PLATEAU}", "task.monitor=null"], "lr_scheduler: ReduceLROnPlateau needs a metric"),
        (["optimizer=null", f"lr_scheduler={PLATEAU}"], "lr_scheduler: needs an optimizer"),
    ],
)
def test_what_is_refused(settings: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        assembled(Bare, *settings)


def test_modules_that_take_steps_by_themselves_keep_their_optimizers() -> None:
    with pytest.raises(RecipeError, match="optimizer: Manual has optimizers of its own; set them under `model`"):
        assembled(Manual)
