"""`lab sync`, offline runs and outages, with a real server that dies in the middle."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import mlflow
import pytest
import torch
import typer
from mlflow import MlflowClient

from lab.cli.tracking import sync as lab_sync
from lab.errors import LabError
from lab.tracking import logger as tracking
from lab.tracking import sync as outbox
from lab.tracking.global_functions.mlflow_functions import current_run
from lab.tracking.journal import Journal
from lab.tracking.logger import Tracker
from lab.tracking.names import DESCRIPTION
from lab.tracking.sync import sync


class Machine:
    """`mlflow server` with a database and artifacts of its own; it can be killed and started again.

    It takes seconds to start, so all tests share one.
    """

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.folder, self.uri, self.process = folder, f"http://127.0.0.1:{self.port}", None
        self.start()

    def start(self):
        words = [
            "--backend-store-uri",
            f"sqlite:///{self.folder}/server.db",
            "--workers",
            "1",
            "--port",
            str(self.port),
        ]
        words += ["--artifacts-destination", str(self.folder / "artifacts"), "--host", "127.0.0.1"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # eight more processes
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "mlflow", "server", *words]
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.2)

    def kill(self):
        os.killpg(self.process.pid, 9)
        self.process.wait()

    def run(self, run_id):
        return MlflowClient(self.uri).get_run(run_id)

    def history(self, run_id, key):
        return [(point.step, point.value) for point in MlflowClient(self.uri).get_metric_history(run_id, key)]

    def files(self, run_id, folder=None):
        return {entry.path for entry in MlflowClient(self.uri).list_artifacts(run_id, folder)}


@pytest.fixture(scope="module")
def machine(tmp_path_factory, empty_database):
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, folder / "server.db")
    started = Machine(folder)
    yield started
    started.kill()


@pytest.fixture
def here(tracked, monkeypatch):
    """A folder of one's own on the machine that trains, with an impatient tracker."""
    monkeypatch.chdir(tracked)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tracking, "FLUSH_SECONDS", 0.05)
    return tracked


def wait_until(true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def save_model(tracker):
    """A small model as `export.log_model` keeps one."""
    folder = tracker.home / "model"
    layer = torch.nn.Linear(2, 1)
    mlflow.pytorch.save_model(
        layer,
        path=str(folder),
        input_example=torch.zeros(1, 2).numpy(),
        pip_requirements=["torch"],
        serialization_format="pt2",
    )
    tracker.log_model(folder, "mine.2: small")
    return layer


@pytest.mark.long
@pytest.mark.usefixtures("here")
def test_a_server_that_is_killed_in_the_middle_gets_everything_once_and_in_order(machine, monkeypatch, capsys):
    monkeypatch.setattr(tracking, "FINISH_TIMEOUT", 60.0)  # a server that has just started is slow
    tracker = Tracker(machine.uri, "killed", "run", {"why": "test"})
    for step in range(100):
        tracker.log_metrics({"loss": step / 3}, step)
    wait_until(lambda: len(machine.history(tracker.run_id, "loss")) == 100)
    machine.kill()
    for step in range(100, 300):
        tracker.log_metrics({"loss": step / 3}, step)
        time.sleep(0.001)
    tracker.experiment.log_text(tracker.run_id, "written while it was away", "notes/a.txt")
    tracker.log_params({"lr": 0.1})
    wait_until(lambda: "not sent" in capsys.readouterr().err)
    machine.start()
    for step in range(300, 400):
        tracker.log_metrics({"loss": step / 3}, step)
    tracker.finish("FINISHED")
    run = machine.run(tracker.run_id)
    assert machine.history(tracker.run_id, "loss") == [(step, step / 3) for step in range(400)]
    assert (run.info.status, run.data.params, run.data.tags["why"]) == ("FINISHED", {"lr": "0.1"}, "test")
    assert machine.files(tracker.run_id, "notes") == {"notes/a.txt"}
    assert not tracker.home.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_run_that_ends_while_the_server_is_away_is_sent_later(machine, monkeypatch, capsys):
    monkeypatch.setattr(tracking, "FINISH_TIMEOUT", 0.5)
    tracker = Tracker(machine.uri.replace("//", "//me:hush@"), "ended", "run", {})
    machine.kill()
    tracker.log_metrics({"loss": float("nan"), "val": float("inf")}, 1)
    tracker.checkpoints.mkdir(parents=True)
    (tracker.checkpoints / "best.ckpt").write_text("weights")
    tracker.experiment.log_artifacts(tracker.run_id, str(tracker.checkpoints), "checkpoints")
    assert not list(tracker.home.rglob("*.ckpt")), "a checkpoint is not copied to be sent"
    layer = save_model(tracker)
    ended = time.time() * 1000
    tracker.finish("FINISHED")
    assert capsys.readouterr().err.endswith(f"operations are not sent yet ({tracker.home}); lab sync sends them\n")

    with pytest.raises(typer.Exit) as leaving:
        lab_sync()
    assert leaving.value.exit_code == 1
    assert f"wait: tracking server {machine.uri} cannot be reached" in capsys.readouterr().out
    assert "hush" not in "".join(file.read_text(errors="replace") for file in tracker.home.rglob("*.*"))
    machine.start()
    sent = time.time() * 1000
    lab_sync()
    assert re.fullmatch(rf"run {tracker.run_id[:8]}: \d+ operations sent to {machine.uri}\n", capsys.readouterr().out)
    lab_sync()
    assert capsys.readouterr().out == "nothing to send\n"
    run = machine.run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert int(ended) <= run.info.end_time <= sent, "when it ended, not when it was sent"
    assert machine.history(tracker.run_id, "val") == [(1, 1.7976931348623157e308)], "the largest that a database holds"
    assert str(machine.history(tracker.run_id, "loss")) == "[(1, nan)]"
    assert machine.files(tracker.run_id, "checkpoints") == {"checkpoints/best.ckpt"}
    loaded = loaded_model(machine.uri, tracker.run_id)
    assert torch.equal(loaded(torch.ones(1, 2)), layer(torch.ones(1, 2)))


def loaded_model(uri, run_id):
    with current_run(uri, ""), torch.inference_mode():
        return mlflow.pytorch.load_model(f"runs:/{run_id}/mine-2- small")


@pytest.mark.slow
def test_an_offline_run_is_copied_once_however_often_it_is_sent(machine, here):
    tracker = Tracker(
        f"sqlite:///{here}/mlflow.db", "offline", "run", {"why": "test"}, offline_for=f"{machine.uri}?password=hush"
    )
    for step in range(50):
        tracker.log_metrics({"loss": float(step)}, step)
    tracker.log_metrics({"test/loss": 7.0}, 50)
    tracker.log_params({"lr": 0.1})
    tracker.log_dataset("digits", "ab12", "training", source_type="local", source='{"uri": "digits.csv"}')
    tracker.write(op="describe", text=f"picture of {tracker.run_id}", instead_of="")
    tracker.experiment.log_text(tracker.run_id, "text", "notes/a.txt")
    tracker.checkpoints.mkdir(parents=True)
    for name in ("best.ckpt", "last.ckpt", "other"):
        (tracker.checkpoints / name).write_text(name)
    save_model(tracker)
    tracker.finish("KILLED")
    here_now = MlflowClient(tracker.uri).get_run(tracker.run_id)
    assert here_now.info.status == "KILLED", "it is tracked here as if this were the server"
    assert "hush" not in (tracker.home / "journal.jsonl").read_text()

    (report,) = sync()
    assert (report.waiting, report.failed, report.uri) == (0, False, machine.uri)
    cursor = tracker.home / "later.cursor"
    cursor.write_text("0")  # as if the connection had broken before anybody knew that all of it arrived
    assert [again.sent for again in sync()] == [report.sent]
    assert list(sync()) == []

    client = MlflowClient(machine.uri)
    (copy,) = client.search_runs([client.get_experiment_by_name("offline").experiment_id])
    assert copy.info.run_id != tracker.run_id
    assert copy.data.tags["mlflow.lab.offline_id"] == tracker.run_id
    assert (copy.info.status, copy.info.start_time) == ("KILLED", here_now.info.start_time)
    assert copy.info.end_time == here_now.info.end_time
    assert (copy.data.params, copy.data.tags["why"]) == ({"lr": "0.1"}, "test")
    (used,) = copy.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest, used.tags[0].value) == ("digits", "ab12", "training")
    assert copy.data.tags[DESCRIPTION] == f"picture of {copy.info.run_id}"
    there, original = (
        store.get_metric_history(run, "loss")
        for store, run in ((client, copy.info.run_id), (MlflowClient(tracker.uri), tracker.run_id))
    )
    assert [(p.step, p.value, p.timestamp) for p in there] == [(p.step, p.value, p.timestamp) for p in original]
    assert len(there) == 50
    assert machine.files(copy.info.run_id, "checkpoints") == {"checkpoints/best.ckpt", "checkpoints/last.ckpt"}
    assert machine.files(copy.info.run_id, "notes") == {"notes/a.txt"}
    (model,) = client.search_logged_models([copy.info.experiment_id])
    assert len(copy.outputs.model_outputs) == 1
    assert [(each.key, each.value, each.dataset_name) for each in model.metrics] == [("test/loss", 7.0, "digits")]
    assert machine.history(copy.info.run_id, "test/loss") == [(50, 7.0)], "once, although the model has it too"
    assert loaded_model(machine.uri, copy.info.run_id)(torch.ones(1, 2)).shape == (1, 1)

    resumed = Tracker(tracker.uri, "offline", "run", {}, resume=tracker.run_id)
    resumed.log_metrics({"loss": 50.0}, 50)
    resumed.finish("FINISHED")
    assert list(sync(run="another")) == []
    (report,) = sync(run="last")
    assert machine.history(copy.info.run_id, "loss")[-1] == (50, 50.0)
    assert machine.run(copy.info.run_id).info.status == "FINISHED"
    assert not tracker.home.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_run_that_still_runs_is_left_alone(machine):
    tracker = Tracker(machine.uri, "alive", "run", {})
    (report,) = sync()
    assert (report.sent, report.failed) == (0, False)
    assert report.note == f"run {tracker.run_id[:8]} is still running (process {os.getpid()})"
    tracker.finish("FINISHED")


@pytest.mark.slow
def test_what_a_database_has_already_it_does_not_take_twice(here, capsys):
    tracker = Tracker(f"sqlite:///{here}/mlflow.db", "twice", "run", {})
    for value in (1.0, float("nan"), float("inf"), 0.1):
        tracker.log_metrics({"loss": value}, 3)
    layer = save_model(tracker)
    tracker.finish("KILLED")
    client = MlflowClient(tracker.uri)
    before = str(client.get_metric_history(tracker.run_id, "loss"))
    (tracker.home / "server.cursor").unlink()
    (report,) = sync()
    assert report.sent > 4
    assert "refuses" not in capsys.readouterr().err
    assert str(client.get_metric_history(tracker.run_id, "loss")) == before
    assert len(client.get_run(tracker.run_id).outputs.model_outputs) == 1
    loaded = loaded_model(tracker.uri, tracker.run_id)
    assert torch.equal(loaded(torch.ones(1, 2)), layer(torch.ones(1, 2)))


@pytest.mark.parametrize(
    ("recorded", "uri", "configured", "expected"),
    [
        ("http://host", None, "", "http://host"),
        ("http://host", None, "http://me:hush@host", "http://me:hush@host"),
        ("http://host", None, "http://me:hush@other", "http://host"),
        ("http://host", "http://moved", "http://me:hush@host", "http://moved"),
        ("http://host", "sqlite:///here.db", "", "http://host"),
        ("sqlite:////here.db", "http://moved", "http://me:hush@host", "sqlite:////here.db"),
    ],
)
def test_a_journal_goes_where_it_was_meant_to_go(here, monkeypatch, recorded, uri, configured, expected):
    journal = Journal(here / "mlruns/outbox/0123")
    journal.append({"op": "start", "run_id": "0123", "name": "run", "time": 1, "uri": recorded, "offline_for": None})
    journal.close()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", configured)
    asked = []

    def away(address):
        asked.append(address)
        raise LabError("away")

    monkeypatch.setattr(outbox, "client", away)
    (report,) = sync(uri=uri)
    assert asked == [expected]
    assert (report.failed, report.note, report.waiting) == (True, "away", 1)


@pytest.mark.usefixtures("here")
def test_sync_speaks_json(capsys):
    lab_sync(as_json=True)
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.long
@pytest.mark.usefixtures("here")
def test_what_a_project_writes_into_log_dir_reaches_the_server(machine, monkeypatch):
    monkeypatch.setattr(tracking, "FINISH_TIMEOUT", 60.0)
    tracker = Tracker(machine.uri, "written", "run", {})
    tracker.mirror(["csv"])
    deep = Path(tracker.log_dir) / "deep"
    deep.mkdir()
    (deep / "note.txt").write_text("x")
    tracker.experiment.add_text("said", "hello", 1)
    tracker.finish("FINISHED")
    client = MlflowClient(machine.uri)
    assert [file.path for file in client.list_artifacts(tracker.run_id, "logs/deep")] == ["logs/deep/note.txt"]
    assert [file.path for file in client.list_artifacts(tracker.run_id, "texts")] == ["texts/said_00000001.md"]
    assert not tracker.home.exists(), "the copy that was made to be sent is gone as well"
