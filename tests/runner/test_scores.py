"""By which metric a run is judged, whatever its module calls its metrics; all commands say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from torch import Tensor

from lab.comparison.groups import select
from lab.errors import RecipeError
from lab.recipe import load
from lab.runner.fit import fit
from lab.runner.results import RunResult, distinct_metrics, runs
from lab.task import counterpart
from lab.tracking.names import metric_name
from tests.runner.projects import Judged, Line, Run, loader


def agree(result: RunResult) -> None:
    """The result, `lab runs` and `lab compare` name the same score."""
    row = runs()[0]
    assert result.monitor is not None
    assert (row.monitor, row.score) == (metric_name(result.monitor), pytest.approx(result.score))
    found = select(["r"])
    assert found.metric == row.monitor
    assert list(found.groups[0].scores.values()) == [{0: row.score}]


@pytest.mark.parametrize(
    ("monitor", "test"),
    [
        ("val/return", "test/return"),
        ("valid_loss", "test_loss"),
        ("validation_loss", "test_loss"),
        ("eval/return", "test/return"),
        ("metrics/val_acc", "metrics/test_acc"),
        ("loss/val", "loss/test"),
        ("acc_val", "acc_test"),
        ("Val_Loss", "Test_Loss"),
        ("VAL_ACC", "TEST_ACC"),
        ("valLoss", "testLoss"),
        ("val-f1", "test-f1"),
        ("val_loss/dataloader_idx_1", "test_loss/dataloader_idx_1"),
        ("value_loss", "value_loss"),
        ("interval", "interval"),
        ("VALUE", "VALUE"),
        ("retrieval/r1", "retrieval/r1"),
        ("loss", "loss"),
    ],
)
def test_only_a_whole_word_for_validation_becomes_test(monitor: str, test: str) -> None:
    assert counterpart(monitor) == test


def test_each_metric_is_listed_once() -> None:
    assert distinct_metrics(["a", "a_step", "a_epoch", "b_epoch"]) == ["a", "b_epoch"]


@pytest.mark.parametrize(
    ("name", "clean"), [("map@50", "map_50"), ("loss (a)", "loss _a_"), ("/a//b/", "a/b"), ("a", "a")]
)
def test_a_name_that_mlflow_refuses_is_written_in_its_letters(name: str, clean: str) -> None:
    assert metric_name(name) == clean


@pytest.mark.slow
def test_the_score_is_the_tests_counterpart_and_all_that_the_test_logged_is_there(run: Run) -> None:
    result = run(Judged)
    assert result.monitor == "test_loss"
    assert result.tested.keys() == {"test_loss", "mae"}
    agree(result)


class EachStep(Line):
    def validation_step(self, batch: list[Tensor]) -> None:
        self.log("valid_loss", self.loss(batch), on_step=True, on_epoch=True)

    def test_step(self, batch: list[Tensor]) -> None:
        self.log("test_loss", self.loss(batch), on_step=True, on_epoch=True)


@pytest.mark.slow
@pytest.mark.parametrize("monitor", ["valid_loss", "valid_loss_epoch"])
def test_the_epochs_value_counts_of_a_metric_that_is_logged_at_each_step_too(run: Run, monitor: str) -> None:
    result = run(EachStep, monitor)
    assert result.monitor == monitor.replace("valid", "test")
    assert result.score == result.tested["test_loss_epoch"]
    assert select(["r"]).curves == ["valid_loss_epoch"]
    agree(result)


class Untested(Judged):
    test_step = Line.test_step


@pytest.mark.slow
def test_without_a_test_the_score_is_the_best_value_of_validation_and_says_so(run: Run, capsys) -> None:
    from lab.cli.terminal.result import print_result

    result = run(Untested)
    assert (result.monitor, result.tested) == ("best/valid_loss", {})
    assert result.score == result.metrics["best/valid_loss"]
    agree(result)
    print_result(result, None)
    assert "(in validation; no test)" in capsys.readouterr().out


class OtherNames(Judged):
    def test_step(self, batch: list[Tensor]) -> None:
        self.log("accuracy@1", self.loss(batch))


@pytest.mark.slow
def test_a_test_without_the_counterpart_leaves_the_score_to_validation(run: Run, capsys) -> None:
    from lab.cli.terminal.result import print_result

    result = run(OtherNames)
    assert result.monitor == "best/valid_loss"
    print_result(result, None)
    said = capsys.readouterr().out
    assert "(in validation; the test did not log test_loss)" in said
    assert "accuracy@1" in said
    agree(result)


@pytest.mark.slow
def test_the_task_names_the_score(run: Run) -> None:
    result = run(OtherNames, score="accuracy@1")
    assert result.monitor == "accuracy@1"
    agree(result)


@pytest.mark.slow
def test_a_score_that_the_test_does_not_log_is_said_with_the_nearest_name(run: Run, capsys) -> None:
    result = run(Judged, score="test_los")
    assert result.monitor == "test_loss"
    assert "task.score: the test logged no 'test_los'; did you mean 'test_loss'?" in capsys.readouterr().err


class SeveralSets(Line):
    """Two loaders of validation, one of test; the training takes a dictionary of loaders."""

    def train_dataloader(self) -> dict[str, Any]:
        return {"a": loader(), "b": loader(16)}

    def val_dataloader(self) -> list[Any]:
        return [loader(), loader(16)]

    def test_dataloader(self) -> Any:
        return loader()

    def training_step(self, batch: dict[str, list[Tensor]]) -> Tensor:
        return self.loss(batch["a"]) + self.loss(batch["b"])

    def validation_step(self, batch: list[Tensor], batch_idx: int, dataloader_idx: int) -> None:  # noqa: ARG002
        self.log("val_loss", self.loss(batch))

    def test_step(self, batch: list[Tensor]) -> None:
        self.log("test_loss", self.loss(batch))


@pytest.mark.slow
def test_a_module_may_bring_its_loaders_and_several_of_them(run: Run) -> None:
    result = run(SeveralSets, "val_loss/dataloader_idx_1", None)
    assert result.monitor == "test_loss"
    agree(result)


def test_settings_for_a_data_module_that_nobody_named_are_refused(run: Run) -> None:
    Path("r.yaml").write_text(f"task: {{module: '{__name__}:SeveralSets'}}\ndata: {{size: 3}}\n")
    with pytest.raises(RecipeError, match=r"r.yaml:2: data: `task.data` is missing, so there is no data module"):
        fit(load("r.yaml"))
    Path("r.yaml").write_text(f"task: {{module: '{__name__}:Judged'}}\n")
    with pytest.raises(RecipeError, match="Judged has no train_dataloader; name a LightningDataModule that has one"):
        fit(load("r.yaml"))


class Silent(Line):
    def validation_step(self, batch: list[Tensor]) -> None:
        self.loss(batch)


@pytest.mark.slow
def test_without_a_monitor_the_last_checkpoint_is_the_best(run: Run) -> None:
    result = run(Silent, None)
    assert (result.monitor, result.score) == (None, None)
    assert result.best is not None
    assert result.last is not None
    import torch

    best, last = (torch.load(path, weights_only=True)["state_dict"] for path in (result.best, result.last))
    assert all(torch.equal(best[key], last[key]) for key in last)
    assert "mlflow.lab.score" not in MlflowClient(result.uri).get_run(result.run_id).data.tags
