"""MLflow's global functions inside a module: what they log is in the run, and there is no second one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from lab.errors import LabError
from tests.runner.projects import Judged, Run


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
    assert (found.info.status, found.data.tags["status"]) == ("FINISHED", "FINISHED")
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
    assert (found.info.status, found.data.tags["status"]) == ("FAILED", "FAILED")
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
