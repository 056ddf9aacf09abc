"""The tracker: order, batches, addresses, and a server that fails for a while."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from lab.errors import BadInput
from lab.runner import tracking
from lab.runner.server import tracking_uri, without_password
from lab.runner.tracking import Tracker


@pytest.fixture
def tracker(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "FLUSH_SECONDS", 0.05)
    return Tracker(f"sqlite:///{tmp_path}/mlflow.db", "some experiment/50 %", "a run", {"task": "none"})


@pytest.mark.slow
def test_no_metric_is_lost_or_out_of_order(tracker):
    for step in range(2500):
        tracker.log_metrics({"loss": 1 / (step + 1), "twice": 2.0 * step}, step=step)
    tracker.finish("FINISHED")
    client = MlflowClient(tracker.uri)
    history = client.get_metric_history(tracker.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(step, 1 / (step + 1)) for step in range(2500)]
    run = client.get_run(tracker.run_id)
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "FINISHED")


@pytest.mark.slow
def test_a_server_that_fails_for_a_while_loses_nothing(tracker, monkeypatch):
    send, failures = tracker._client.log_batch, []

    def shaky(*args, **kwargs):
        if len(failures) < 5:
            failures.append(1)
            raise ConnectionError("away")
        return send(*args, **kwargs)

    monkeypatch.setattr(tracker._client, "log_batch", shaky)
    for step in range(300):
        tracker.log_metrics({"loss": float(step)}, step=step)
    while len(failures) < 5:
        pass
    tracker.finish("FINISHED")
    history = MlflowClient(tracker.uri).get_metric_history(tracker.run_id, "loss")
    assert [point.value for point in history] == [float(step) for step in range(300)]


@pytest.mark.slow
def test_artifacts_lie_beside_the_database(tracker, tmp_path):
    assert tracker.folder.is_relative_to(tmp_path / "mlruns")
    long = {"text": "x" * 5000}
    tracker.log_params(long)
    assert MlflowClient(tracker.uri).get_run(tracker.run_id).data.params == long, "not cut short"
    tracker.finish("FINISHED")


def test_the_address_is_the_recipes_then_the_environments_then_the_default(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri() == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri() == "http://127.0.0.1:5000"
    assert tracking_uri("sqlite:///other.db") == f"sqlite:///{tmp_path}/other.db"


@pytest.mark.parametrize("uri", ["runs", "file:///tmp/runs", "./mlruns"])
def test_a_folder_is_no_tracking_server(uri):
    with pytest.raises(BadInput, match="tracking in a folder"):
        tracking_uri(uri)


def test_an_old_file_store_is_named(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    old = Path("mlruns/0")
    old.mkdir(parents=True)
    (old / "meta.yaml").touch()
    with pytest.raises(BadInput, match="mlflow migrate-filestore"):
        tracking_uri()


def test_passwords_are_left_out():
    assert without_password("https://me:secret@host:5000/x") == "https://host:5000/x"
    assert without_password("sqlite:///mlflow.db") == "sqlite:///mlflow.db"
