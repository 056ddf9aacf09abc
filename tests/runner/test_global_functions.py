"""Global functions of MLflow and W&B in a module: what they log is in its run, and there is no second one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient, end_run, start_run

from lab.errors import LabError, RecipeError
from lab.runner.evaluate import evaluate
from lab.tracking import warn_once
from tests.runner.projects import Judged, Run

pytestmark = pytest.mark.slow  # each trains


class Fluent(Judged):
    """Logs with MLflow's own functions, as a script would."""

    def on_train_epoch_end(self) -> None:
        mlflow.log_metric("mine", float(self.current_epoch), step=self.current_epoch)
        mlflow.log_param("who", "somebody")
        mlflow.set_tag("whose", "mine")
        mlflow.log_text("hello", "note.txt")


class Failing(Fluent):
    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        raise RuntimeError("no more")


def runs(folder: Path) -> list[Any]:
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    return list(client.search_runs([each.experiment_id for each in client.search_experiments()]))


def test_what_they_log_is_in_the_run(run: Run, tracked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_RUN_ID", "f" * 32)
    result = run(Fluent)
    (found,) = runs(tracked)
    assert found.info.run_id == result.run_id
    assert found.info.status == "FINISHED"
    assert (found.data.params["who"], found.data.tags["whose"]) == ("somebody", "mine")
    history = MlflowClient(result.uri).get_metric_history(result.run_id, "mine")
    assert [(point.step, point.value) for point in history] == [(0, 0.0), (1, 1.0)]
    assert [file.path for file in MlflowClient(result.uri).list_artifacts(result.run_id) if file.path == "note.txt"]
    assert mlflow.active_run() is None, "MLflow would end it once more when the process ends"
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert os.environ["MLFLOW_RUN_ID"] == "f" * 32


def test_a_run_that_fails_is_not_finished(run: Run, tracked: Path) -> None:
    with pytest.raises(LabError, match="no more"):
        run(Failing)
    (found,) = runs(tracked)
    assert found.info.status == "FAILED"
    assert mlflow.active_run() is None


def test_a_run_of_the_program_around_it_stays_as_it_is(run: Run, tracked: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tracked}/mlflow.db")
    try:
        with mlflow.start_run() as around:
            result = run(Judged)
            assert mlflow.active_run().info.run_id == around.info.run_id
        assert {each.info.run_id for each in runs(tracked)} == {around.info.run_id, result.run_id}
    finally:
        mlflow.set_tracking_uri(None)


class Starting(Judged):
    """Begins and ends runs, as a script that was made for MLflow alone."""

    def on_fit_start(self) -> None:
        mlflow.set_tracking_uri("http://name:secret@127.0.0.1:1")
        mlflow.set_experiment("mine")
        mlflow.sklearn.autolog()
        with mlflow.start_run(run_name="mine", tags={"a": "b"}, description="about it") as begun:
            mlflow.log_param("inner", begun.info.run_id)
        end_run("FAILED")

    def on_train_epoch_end(self) -> None:
        with start_run(nested=True):  # taken by name before there was a run
            mlflow.log_metric("mine", self.current_epoch, step=self.current_epoch)

    def on_test_end(self) -> None:
        mlflow.log_metric("in_test", 3.0)
        mlflow.end_run()


def test_a_project_that_begins_runs_of_its_own_has_one(
    run: Run, tracked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(warn_once, "_said", set())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    begin = mlflow.start_run
    mlflow.set_tracking_uri(f"sqlite:///{tracked}/mlflow.db")
    mlflow.set_experiment("of the program")  # MLflow would refuse a run of another one
    try:
        result = run(Starting)
        (found,) = runs(tracked)
        assert (found.info.run_id, found.info.status) == (result.run_id, "FINISHED")
        assert found.data.params["inner"] == result.run_id
        assert (found.data.metrics["mine"], found.data.metrics["in_test"]) == (1.0, 3.0)
        assert (found.data.tags["a"], found.data.tags["mlflow.note.content"]) == ("b", "about it")
        said = capsys.readouterr().err
        for words in ("set track.uri", "set track.experiment", "set track.name", "mlflow.end_run: ", "autolog: "):
            assert words in said
        assert "secret" not in said
        assert mlflow.start_run is begin is start_run
        assert evaluate("last", None, "best")["test_loss"] == pytest.approx(result.score)
        assert "callback" not in capsys.readouterr().err, "a checkpoint has states of those of the training"
        assert [each.data.metrics for each in runs(tracked)] == [found.data.metrics], "nothing is recorded again"
    finally:
        mlflow.sklearn.autolog(disable=True)
        mlflow.set_tracking_uri(None)
        monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
        monkeypatch.setattr(mlflow.tracking.fluent, "_active_experiment_id", None)


class InConstructor(Judged):
    def __init__(self) -> None:
        super().__init__()
        mlflow.set_tracking_uri("sqlite:///elsewhere.db")
        mlflow.log_param("lr", 1)


class WandbInConstructor(Judged):
    def __init__(self) -> None:
        super().__init__()
        import wandb

        wandb.init(project="mine")


@pytest.mark.parametrize(("module", "package"), [(InConstructor, "MLflow"), (WandbInConstructor, "wandb.init")])
def test_a_constructor_that_needs_a_run_is_refused(module: type, package: str, run: Run, tracked: Path) -> None:
    pytest.importorskip("wandb")
    with pytest.raises(RecipeError, match=rf"{package} needs a run, which begins after .*test_global_functions.py:\d+"):
        run(module)
    assert not Path("elsewhere.db").exists()
    assert not runs(tracked)


class Weighed(Judged):
    """Logs with W&B's own functions."""

    def on_fit_start(self) -> None:
        import wandb

        with wandb.init(project="mine", name="me", config={"width": 3}) as begun:
            wandb.config.update({"depth": 2})
            assert (wandb.config.width, begun.config["depth"]) == (3, 2)
        Path("kept.txt").write_text("kept")
        wandb.save("kept.txt")

    def on_train_epoch_end(self) -> None:
        import wandb

        wandb.log({"mine": self.current_epoch})
        wandb.run.summary["best"] = 5
        wandb.finish()


@pytest.mark.long
def test_a_project_that_begins_runs_of_wandb_has_one(run: Run, tracked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    begin = wandb.init
    result = run(Weighed, settings=("track.mirror=[wandb]",))
    (found,) = runs(tracked)
    assert (found.data.params["width"], found.data.params["depth"]) == ("3", "2")
    assert (found.data.metrics["mine"], found.data.metrics["best"]) == (1.0, 5.0)
    files = {file.path for file in MlflowClient(result.uri).list_artifacts(result.run_id)}
    assert "kept.txt" in files
    assert not Path("wandb").exists(), "W&B has a run of its own"
    assert list(tracked.glob("mlruns/mirror/wandb/**/*.wandb")), "the mirror has one"
    assert wandb.init is begin
    assert wandb.run is None
