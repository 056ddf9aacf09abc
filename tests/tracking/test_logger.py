"""The tracker: nothing lost, nothing twice, whatever ends the run; and what modules may do with its client."""

import json
import math
import os
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
from lightning.pytorch.utilities import rank_zero_only
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from lab.errors import BadInput, LabError
from lab.recipe import load
from lab.runner import record
from lab.tracking import logger as tracking
from lab.tracking.logger import Tracker
from tests.processes import Started

pytestmark = pytest.mark.slow  # a database takes seconds to make


@pytest.fixture
def start(tracked, monkeypatch):
    """Makes trackers of one database, and ends those that a test leaves running."""
    monkeypatch.setattr(tracking, "FLUSH_SECONDS", 0.05)
    monkeypatch.chdir(tracked)
    started = []

    def make(**more):
        started.append(Tracker(f"sqlite:///{tracked}/mlflow.db", "some experiment/50 %", "a run", {"why": "x"}, **more))
        return started[-1]

    yield make
    for tracker in started:
        tracker.finish("FINISHED")


def run_of(tracker):
    return MlflowClient(tracker.uri).get_run(tracker.run_id)


def history(tracker, key="loss"):
    return [(point.step, point.value) for point in MlflowClient(tracker.uri).get_metric_history(tracker.run_id, key)]


def kill(tracker):
    """What kill -9 leaves behind: the journal as it is on the disk, the lock free, nothing in memory."""
    tracker._ended.set()
    tracker._sender.finish(60)
    tracker._journal.close()


def test_no_metric_is_lost_or_out_of_order(start):
    tracker = start()
    for step in range(2500):
        tracker.log_metrics({"loss": 1 / (step + 1), "twice": 2.0 * step}, step=step)
    tracker.finish("FINISHED")
    assert history(tracker) == [(step, 1 / (step + 1)) for step in range(2500)]
    run = run_of(tracker)
    assert (run.info.status, run.data.tags["why"]) == ("FINISHED", "x")
    assert not tracker.home.exists(), "nothing waits, and a finished run is not resumed"


def test_logging_does_not_wait_for_a_server_that_hangs(start, monkeypatch):
    asked, released = threading.Event(), threading.Event()

    def hang(*_, **__):
        asked.set()
        assert released.wait(60)
        raise ConnectionError("it died after all")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", hang)
        tracker = start()
        tracker.log_metrics({"loss": 0.0}, 0)
        assert asked.wait(60)
        for step in range(1, 1000):
            tracker.log_metrics({"loss": float(step)}, step)
        tracker.set_tag("while", "it hangs")
        position = tracker.position()
        assert position == (tracker.home / "journal.jsonl").stat().st_size
        assert tracker.waiting() > 0
        assert not released.is_set(), "all of this came back while the server hung"
    released.set()
    tracker.finish("FINISHED")
    assert history(tracker) == [(step, float(step)) for step in range(1000)]


def test_artifacts_lie_beside_the_database(start, tmp_path):
    tracker = start()
    assert tracker.folder.is_relative_to(tmp_path / "mlruns")
    assert tracker.checkpoints == tracker.folder / "checkpoints"
    tracker.experiment.log_text(tracker.run_id, "here at once", "notes/a.txt")
    assert (tracker.folder / "notes/a.txt").read_text() == "here at once"
    long = {"text": "x" * 5000}
    tracker.log_params(long)
    tracker.finish("FINISHED")
    run = run_of(tracker)
    assert run.data.params == long, "not cut short"
    assert run.data.tags["mlflow.lab.checkpoints"] == str(tracker.checkpoints)


def test_what_modules_write_with_the_client_goes_through_the_journal(start, tmp_path):
    tracker = start()
    client, run_id = tracker.experiment, tracker.run_id
    assert isinstance(client, MlflowClient)
    (tmp_path / "folder/inner").mkdir(parents=True)
    (tmp_path / "folder/inner/a.txt").touch()
    client.log_artifacts(run_id, str(tmp_path / "folder"), "all")
    client.log_artifact(run_id, str(tmp_path / "folder"))
    client.log_artifact(run_id, str(tmp_path / "folder/inner/a.txt"))
    client.log_dict(run_id, {"a": 1}, "texts/a.json")
    client.log_figure(run_id, Figure(), "plots/empty.png")
    client.log_image(run_id, numpy.zeros((4, 4, 3), numpy.uint8), key="image", step=3, synchronous=False)
    client.log_metric(run_id, "one", 1, timestamp=123, step=4)
    client.log_param(run_id, "p", 1)
    client.log_batch(run_id, [Metric("two", 2.0, 123, 5)], [Param("q", "2")], [RunTag("t", "3")])
    client.set_tag(run_id, "u", 4)
    assert tracker.position() > 0
    journal = [json.loads(line) for line in (tracker.home / "journal.jsonl").read_text().splitlines()]
    kinds = [operation["op"] for operation in journal]
    assert kinds[:3] == ["start", "tag", "tag"]
    assert sorted(kinds[3:]) == sorted([*["artifact"] * 7, *["metrics"] * 2, *["params"] * 2, *["tag"] * 3])
    with pytest.raises(FileNotFoundError):
        client.log_artifact(run_id, "nowhere.txt")
    with pytest.raises(Exception, match="Invalid artifact path"):
        client.log_artifact(run_id, __file__, "../outside")

    other = client.create_run(run_of(tracker).info.experiment_id).info.run_id
    client.log_metric(other, "elsewhere", 1.0)
    client.set_tag(other, "elsewhere", "1")
    assert MlflowClient(tracker.uri).get_run(other).data.metrics == {"elsewhere": 1.0}, "another run, at once"

    tracker.finish("FINISHED")
    data = run_of(tracker).data
    assert (data.metrics, data.params) == ({"one": 1.0, "two": 2.0}, {"p": "1", "q": "2"})
    assert {"t": "3", "u": "4", "mlflow.loggedImages": "True"}.items() <= data.tags.items()
    found = {str(path.relative_to(tracker.folder)) for path in tracker.folder.rglob("*") if path.is_file()}
    assert {"all/inner/a.txt", "folder/inner/a.txt", "a.txt", "texts/a.json", "plots/empty.png"} <= found
    assert len([path for path in found if path.startswith("images/")]) == 2


def test_a_resumed_run_goes_on_where_its_checkpoint_was(start):
    tracker = start()
    tracker.log_metrics({"loss": 0.0}, 0)
    position = tracker.position()
    for step in (1, 2, 3):
        tracker.log_metrics({"loss": float(step), "nan": math.nan}, step)
    tracker.position()
    kill(tracker)
    assert run_of(tracker).info.status == "RUNNING"

    for last in (4, 2, 6):  # killed again: later than before, earlier, and at the end
        again = start(resume=tracker.run_id)
        assert (again.run_id, again.home, again.checkpoints) == (tracker.run_id, tracker.home, tracker.checkpoints)
        again.rewind(position)
        for step in range(1, last + 1):
            again.log_metrics({"loss": float(step), "nan": math.nan}, step)
        again.position()
        kill(again)
    end = start(resume=tracker.run_id)
    end.rewind(position)
    end.log_metrics({"loss": 1.0}, 1)  # repeated
    end.log_metrics({"loss": 1.5}, 1)  # another value: not the same point
    end.log_metrics({"loss": 1.0}, 1)  # once too often to be a repetition
    end.finish("FINISHED")
    assert sorted(history(end)) == sorted([*((step, float(step)) for step in range(7)), (1, 1.5), (1, 1.0)])
    assert [step for step, _ in history(end, "nan")] == [1, 2, 3, 4, 5, 6]
    assert run_of(end).info.status == "FINISHED"


def test_what_repeats_the_newest_value_is_one_point_also_after_a_kill(start):
    """As Lightning's `epoch`, which comes with every call; MLflow keeps twins if their milliseconds differ."""
    tracker = start()
    for _ in range(3):
        tracker.log_points([("epoch", 1.0, int(time.time() * 1000), 7)])
        time.sleep(0.002)
    position = tracker.position()
    tracker.log_metrics({"epoch": 1.0}, 7)
    tracker.log_metrics({"epoch": 2.0}, 8)
    tracker.log_metrics({"epoch": 1.0}, 7)  # not the newest: a point of its own
    tracker.position()
    kill(tracker)
    again = start(resume=tracker.run_id)
    again.rewind(position)
    for value, step in ((1.0, 7), (2.0, 8), (1.0, 7), (1.0, 7)):
        again.log_metrics({"epoch": value}, step)
    again.finish("FINISHED")
    assert sorted(history(again, "epoch")) == [(7, 1.0), (7, 1.0), (8, 2.0)]


def test_a_run_that_was_interrupted_runs_again(start, monkeypatch):
    tracker = start()
    tracker.finish("KILLED")
    assert run_of(tracker).info.status == "KILLED"
    assert tracker.home.exists(), "kept to be resumed"
    monkeypatch.chdir("/")  # from anywhere
    again = start(resume=tracker.run_id)
    assert again.home == tracker.home
    again.position()
    while run_of(again).info.status != "RUNNING":
        pass


def test_what_cannot_be_resumed_says_why(start):
    tracker = start()
    with pytest.raises(BadInput, match=rf"^run {tracker.run_id[:8]} is still running \(process {os.getpid()}\)$"):
        start(resume=tracker.run_id)
    with pytest.raises(BadInput, match=r"^no run 0123; lab runs lists them$"):
        start(resume="0123")
    tracker.log_metrics({"loss": 1.0}, 1)
    tracker.finish("FINISHED")
    assert history(tracker) == [(1, 1.0)]


def test_the_end_comes_once(start):
    tracker = start()
    last_words = threading.Thread(target=tracker.finish, args=("KILLED",))
    with tracker._lock:  # the main thread, caught by a signal in the middle of writing
        last_words.start()
        last_words.join(60)
    assert not last_words.is_alive()
    tracker.finish("FINISHED")
    assert run_of(tracker).info.status == "KILLED"


def test_a_full_disk_does_not_hide_what_happened(start, capsys, monkeypatch):
    tracker = start()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tracker._journal, "append", full)
        tracker.log_metrics({"loss": 1.0}, 1)
        tracker.finish("FAILED")
    assert "No space left on device; its last metrics are lost" in capsys.readouterr().err


KILLED = """\
import os, sys, time
from lab.tracking.logger import Tracker
tracker = Tracker(sys.argv[1], "e", "r", {})
step = 0
while True:
    tracker.log_metrics({"loss": step / 7}, step)
    if step % 50 == 0:
        print(tracker.run_id, tracker.position(), step, flush=True)
    if step == 3000:  # far enough, should it be killed late
        time.sleep(600)
    step += 1
"""


def test_kill_9_loses_nothing_before_the_last_checkpoint(tmp_path, start):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    (tmp_path / "killed.py").write_text(KILLED)
    process = Started(tmp_path, "killed", uri)
    lines = []
    while len(lines) <= 40:  # the last may be half a line
        assert process.poll() is None
        time.sleep(0.05)
        lines = process.files[0].read_text().splitlines() if process.files[0].exists() else []
    process.kill()
    process.wait(60)
    run_id, position, last = lines[39].split()
    tracker = start(resume=run_id)
    tracker.rewind(int(position))
    for step in range(int(last) + 1, int(last) + 5000):  # beyond where it was killed
        tracker.log_metrics({"loss": step / 7}, step)
    tracker.finish("FINISHED")
    assert history(tracker) == [(step, step / 7) for step in range(int(last) + 5000)]


def test_system_metrics_go_through_the_journal_and_on(start, monkeypatch):
    monkeypatch.setattr(record, "SAMPLE_SECONDS", 0.02)

    def steps(tracker):
        return [point[3] for point in tracker._journal.points() if point[0] == "system/cpu_utilization_percentage"]

    tracker = start()
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "get_run", lambda *_: pytest.fail("the server was asked"))
        with record.system_metrics(tracker):
            while len(steps(tracker)) < 3:
                time.sleep(0.02)
    tracker.position()
    before = steps(tracker)
    assert before == list(range(len(before)))
    kill(tracker)
    again = start(resume=tracker.run_id)
    with record.system_metrics(again):
        while len(steps(again)) < len(before) + 2:
            time.sleep(0.02)
    again.position()
    assert steps(again) == list(range(len(steps(again))))


def test_only_the_first_process_has_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    monkeypatch.chdir(tmp_path)
    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db", "e", "r", {})
    tracker.log_metrics({"loss": 1.0}, 1)
    tracker.log_params({"a": 1})
    tracker.rewind(0)
    tracker.experiment.log_text("", "text", "a.txt")
    tracker.finish("FINISHED")
    assert (tracker.run_id, tracker.position(), tracker.waiting()) == ("", 0, 0)
    assert not list(tmp_path.iterdir())


def test_secrets_of_the_address_are_not_recorded(start, monkeypatch):
    """Under an address with a password, played by one that stands for the local database."""
    secret = "http://me:hush@example.org/?token=hush"
    tracker = start()
    tracker.uri = secret
    tracker.log_params({"url": f"see {secret}", "user": "me:hush@example.org"})
    tracker.set_tag("url", secret)
    Path("a.yaml").write_text(f"task: ddpg\ntrack: {{uri: '{secret}'}}\n")
    plain = SimpleNamespace(hparams={})
    assembly = SimpleNamespace(
        recipe=load("a.yaml"), name="ddpg", module=plain, data=plain, trainer_settings={}, compiled=False
    )
    monkeypatch.setattr(record, "_git", lambda *_: f"+track: {{uri: '{secret}'}}\n")
    record.start(tracker, assembly)
    files = [tracker.home / "journal.jsonl", tracker.folder / "recipe.yaml", tracker.folder / "environment/git.diff"]
    for file in files:
        assert "hush" not in file.read_text()
        assert "http://example.org/" in file.read_text()


def test_a_server_that_hangs_at_the_start_is_one_line(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(LabError) as error:
            Tracker(f"http://me:hush@{address}", "e", "r", {})
    said = str(error.value)
    assert said.startswith(f"tracking server http://{address} cannot be reached: ")
    assert said.endswith("; start the server, or track here for now: lab run ... --offline")
    assert "hush" not in said
    assert "\n" not in said
    assert not Path("mlruns").exists()
