"""One module on several kinds of data, as two tasks and as recipes' own ones, with a monitor and without."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from annotated_types import Ge
from lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lab
from lab.cli.check import check
from lab.errors import BadSetting, RecipeError
from lab.recipe import load
from lab.recipe.renamed import RENAMED
from lab.runner.assemble import assemble
from lab.runner.evaluate import evaluate
from lab.runner.results import find_run, runs
from lab.study.plan import schema
from lab.study.plan.plan import make_plan
from lab.task import Task

pytestmark = pytest.mark.slow


class Line(LightningModule):
    """A line through pairs of numbers.

    Args:
        inputs: how many numbers go in; a fact of the data.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = nn.Linear(inputs, 1)
        self.window = 3

    def _loss(self, batch: list[Tensor]) -> Tensor:
        return nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def training_step(self, batch: list[Tensor]) -> Tensor:
        return self._loss(batch)

    def validation_step(self, batch: list[Tensor]) -> None:
        self.log("val/loss", self._loss(batch))

    def test_step(self, batch: list[Tensor]) -> None:
        self.log_dict({"test/loss": self._loss(batch), "test/other": 1.0})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Pairs(LightningDataModule):
    """Two numbers and their sum.

    Args:
        rows: how many.
    """

    width = 2

    def __init__(self, rows: Annotated[int, Ge(1)] = 16) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.rows = rows

    def facts(self) -> dict[str, int]:
        return {"inputs": self.width}

    def train_dataloader(self) -> DataLoader[Any]:
        x = torch.linspace(-1, 1, self.rows * self.width).view(self.rows, self.width)
        return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=8)

    val_dataloader = test_dataloader = train_dataloader


class Windows(Pairs):
    """As many numbers as the network wants to see, and one that refuses a window that it has no rows for."""

    width = 3
    seen = 0

    def connect(self, module: Line) -> None:
        self.seen = module.window
        if self.rows < self.seen:
            raise BadSetting("rows", f"the network looks at {self.seen}")


class Misspelt(Pairs):
    def trainer_default(self) -> dict[str, int]:
        return {}


def inline(folder: Path, data: str, more: str = "") -> Path:
    file = folder / f"{data}.yaml"
    file.write_text(
        f"task: {{module: {__name__}:Line, data: {__name__}:{data}{more}}}\n"
        f"threads: 1\ntrainer: {{max_epochs: 2, accelerator: cpu, limit_val_batches: 1}}\n"
        f"track: {{uri: 'sqlite:///{folder}/mlflow.db', system_metrics: false}}\n"
    )
    return file


@pytest.mark.parametrize("data", ["Pairs", "Windows"])
def test_without_a_monitor_the_last_checkpoint_is_the_best(data: str, tracked: Path) -> None:
    result = lab.run(str(inline(tracked, data)), "trainer.max_steps=3", "trainer.max_epochs=null")
    assert (result.monitor, result.score) == (None, None)
    assert result.metrics.keys() >= {"val/loss", "test/loss", "test/other"}
    assert result.best is not None
    assert result.last is not None
    best, last = (torch.load(path, weights_only=True) for path in (result.best, result.last))
    assert best["global_step"] == last["global_step"] == 3
    assert all(torch.equal(best["state_dict"][name], last["state_dict"][name]) for name in last["state_dict"])
    assert evaluate("last", None, "best", (), result.uri)["test/loss"] == pytest.approx(result.metrics["test/loss"])
    assert "mlflow.lab.score" not in find_run("last", result.uri).data.tags
    assert runs(uri=result.uri)[0].score is None


def test_a_recorded_recipe_with_an_old_key_is_told_the_new_one(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = lab.run(str(inline(tracked, "Pairs")), "data.rows=8")
    (recorded,) = tracked.glob(f"mlruns/*/{result.run_id}/artifacts/recipe.yaml")
    recorded.write_text(recorded.read_text().replace("rows: 8", "numbers: 8"))
    monkeypatch.setitem(RENAMED, "data.numbers", "data.rows")
    with pytest.raises(RecipeError, match=r"data.numbers: unknown key 'numbers'; it is called 'rows' now"):
        evaluate("last", None, "best", (), result.uri)


def test_two_tasks_share_a_module(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {"pairs": Task(Line, Pairs, "val/loss", "min"), "windows": Task(Line, Windows, "val/loss", "min")}
    monkeypatch.setattr("lab.runner.assembly.find_task", tasks.__getitem__)
    for name, width in {"pairs": 2, "windows": 3}.items():
        file = inline(tracked, name)
        file.write_text(file.read_text().partition("\n")[2] + f"task: {name}\n")
        result = lab.run(str(file))
        assert (result.task, result.monitor) == (name, "test/loss")
        assert result.best is not None
        assert Line.load_from_checkpoint(result.best, weights_only=True).layer.in_features == width


def test_data_takes_from_the_module_what_belongs_to_it_or_refuses_it(tracked: Path) -> None:
    file = inline(tracked, "Windows")
    data: Any = assemble(load(file)).data
    assert data.seen == 3
    with pytest.raises(RecipeError, match=r"override data.rows=2: data.rows: the network looks at 3"):
        assemble(load(file, ["data.rows=2"]))


def test_lab_check_warns_of_what_is_nearly_a_hook(tracked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for data in ("Misspelt", "Pairs"):
        check([str(inline(tracked, data))])
    said = capsys.readouterr()
    assert said.out.count("ok ") == 2
    warnings = [line for line in said.err.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert warnings[0].endswith(
        "Misspelt.trainer_default is never called by lab; the hook is called 'trainer_defaults'"
    )


def test_a_study_needs_a_metric_where_the_task_has_none(tracked: Path) -> None:
    inline(tracked, "Pairs")
    file = tracked / "study.yaml"
    study = "recipe: Pairs.yaml\nsampler: grid\nspace: {data.rows: [8, 16]}\n"
    for line, message in {
        "pruner: median": "pruner: median follows the task's monitor, and Line has none",
        "pruner: none": "metric: missing; task 'Line' has no monitor to use instead",
    }.items():
        file.write_text(f"{study}{line}\n")
        with pytest.raises(RecipeError, match=message):
            make_plan(schema.load_study(file))
    file.write_text(f"{study}metric: test/loss\nmode: min\n")
    assert make_plan(schema.load_study(file)).metrics == ("test/loss",)
