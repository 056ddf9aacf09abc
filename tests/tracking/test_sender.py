"""From the journal to the server: order, interruptions, refusals, with a server that is played."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED, RESOURCE_DOES_NOT_EXIST

from lab.tracking import sender as delivery
from lab.tracking.journal import Journal
from lab.tracking.remote_run import RemoteRun
from lab.tracking.sender import Sender, ServerUnavailable, deliver


def points(*steps, key="loss"):
    return {"op": "metrics", "metrics": [[key, float(step), 1000 + step, step] for step in steps]}


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "run")
    yield opened
    opened.close()


class Server:
    """MLflow's client as far as a receiver uses it; `trouble(keys)` may raise."""

    tracking_uri = "http://me:secret@example.org"

    def __init__(self, trouble=lambda keys: None):  # noqa: ARG005
        self.trouble, self.got, self.stage = trouble, [], "active"

    def get_run(self, run_id):
        return SimpleNamespace(info=SimpleNamespace(lifecycle_stage=self.stage, run_id=run_id))

    def log_batch(self, _run_id, metrics, params):
        entries = [*metrics, *params]
        self._take([entry.key for entry in entries], [entry.value for entry in entries])

    def set_tag(self, _run_id, key, value):
        self._take([key], [value])

    def log_artifact(self, _run_id, file, _folder):
        self._take([Path(file).name], [Path(file).read_text()])

    def set_terminated(self, _run_id, status, end_time):
        self._take([status], [end_time])

    def _take(self, keys, values):
        self.trouble(keys)
        self.got += zip(keys, values, strict=True)


def receiver(journal, server):
    return RemoteRun(server, "run", journal.folder, artifacts=None)


def refuse(*names, code=INVALID_PARAMETER_VALUE):
    def trouble(keys):
        if set(keys) & set(names):
            raise MlflowException(f"Invalid value for {set(keys) & set(names)}", code)

    return trouble


def test_everything_arrives_in_order_and_once(journal):
    copied = journal.folder / "files/1/a.txt"
    copied.parent.mkdir(parents=True)
    copied.write_text("content")
    journal.append({"op": "start"}, {"op": "params", "params": {"lr": "1"}}, points(1, 2), points(3))
    journal.append({"op": "artifact", "file": "files/1/a.txt", "to": ""}, {"op": "tag", "key": "t", "value": "v"})
    journal.append({"op": "end", "status": "FINISHED", "time": 7})
    server = Server()
    assert deliver(journal, receiver(journal, server), "server") == 7
    assert server.got == [
        ("lr", "1"), ("loss", 1), ("loss", 2), ("loss", 3), ("a.txt", "content"), ("t", "v"),
        ("FINISHED", 7),
    ]  # fmt: skip
    assert not copied.exists(), "a copy that was made to be sent is not needed any more"
    assert deliver(journal, receiver(journal, server), "server") == 0


def test_what_waited_long_goes_in_few_requests(journal):
    requests_made = []
    for step in range(2500):
        journal.append(points(step))
    journal.append(points(*range(2500, 3200)), points(*range(3200, 4200)))
    server = Server(lambda keys: requests_made.append(len(keys)))
    deliver(journal, receiver(journal, server), "server")
    assert requests_made == [1000, 1000, 500, 700, 1000]
    assert [value for _, value in server.got] == [float(step) for step in range(4200)]


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("API request to http://me:secret@example.org/api failed with exception refused"),
        MlflowException("not yours", PERMISSION_DENIED),
        requests.ConnectionError("no route"),
        OSError("the disk is full"),
        RuntimeError("nobody knows"),
    ],
)
def test_a_server_that_is_away_gets_the_rest_later(journal, error):
    away = True

    def trouble(keys):
        if away and "second" in keys:
            raise error

    server = Server(trouble)
    journal.append(points(1), {"op": "tag", "key": "second", "value": ""}, points(3))
    with pytest.raises(ServerUnavailable):
        deliver(journal, receiver(journal, server), "server")
    assert (server.got, journal.waiting("server")) == ([("loss", 1)], 2)
    away = False
    deliver(journal, receiver(journal, server), "server")
    assert server.got == [("loss", 1), ("second", ""), ("loss", 3)]


def test_what_the_server_refuses_blocks_nothing_and_is_said_once(journal, capsys):
    journal.append(points(1), points(2, key="bad"), points(3), points(4, key="bad"))
    journal.append({"op": "params", "params": {"fine": "1", "bad": "2", "good": "3"}})
    journal.append({"op": "tag", "key": "worse", "value": ""}, points(5, key="bad"), points(6))
    server = Server(refuse("bad", "worse"))
    assert deliver(journal, receiver(journal, server), "server") == 8
    assert server.got == [("loss", 1), ("loss", 3), ("fine", "1"), ("good", "3"), ("loss", 6)]
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(", it is left out: Invalid value")[0] for line in lines] == [
        "http://example.org refuses metric 'bad'",
        "http://example.org refuses param 'bad'",
        "http://example.org refuses worse of run run",
    ]


def test_a_refused_file_stays_where_it_can_be_found(journal, capsys):
    copied = journal.folder / "files/1/big.bin"
    copied.parent.mkdir(parents=True)
    copied.write_text("much")
    journal.append({"op": "artifact", "file": "files/1/big.bin", "to": ""})
    too_large = requests.HTTPError("413 Request Entity Too Large", response=SimpleNamespace(status_code=413))

    def trouble(_):
        raise too_large

    assert deliver(journal, receiver(journal, Server(trouble)), "server") == 1
    journal.remove()
    assert copied.exists()
    assert "refuses files/1/big.bin" in capsys.readouterr().err


def test_a_file_that_is_gone_blocks_nothing(journal):
    journal.append({"op": "artifact", "file": "/nowhere/at/all", "to": ""}, points(1))
    server = Server()
    deliver(journal, receiver(journal, server), "server")
    assert server.got == [("loss", 1)]


@pytest.mark.parametrize("code", [INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST])
def test_nothing_is_thrown_away_because_the_run_was_deleted(journal, code):
    server = Server(refuse("loss", code=code))
    server.stage = "deleted"
    journal.append(points(1))
    with pytest.raises(ServerUnavailable):
        deliver(journal, receiver(journal, server), "server")
    assert journal.waiting("server") == 1


def test_the_end_does_not_wait_for_a_server_that_hangs(journal):
    asked, released = threading.Event(), threading.Event()

    def hang(_):
        asked.set()
        released.wait(60)

    journal.append(points(1))
    sender = Sender(journal, receiver(journal, Server(hang)), "server", seconds=0.01)
    assert asked.wait(60)
    sender.finish(timeout=0.1)
    assert not released.is_set(), "it came back while the server still hung"
    released.set()


def test_the_end_does_not_try_for_ever(journal, monkeypatch):
    monkeypatch.setattr(delivery, "RETRY_SECONDS", 0.01)

    def away(_):
        raise ConnectionError("away")

    journal.append(points(1))
    sender = Sender(journal, receiver(journal, Server(away)), "server", seconds=0.01)
    ending = threading.Thread(target=sender.finish, args=(0.1,), daemon=True)
    ending.start()
    ending.join(60)
    assert not ending.is_alive()
    assert journal.waiting("server") == 1


def test_the_end_waits_for_a_server_that_is_slow(journal):
    for step in range(6):
        journal.append(points(step), {"op": "tag", "key": str(step), "value": ""})
    server = Server(lambda _: time.sleep(0.2))
    sender = Sender(journal, receiver(journal, server), "server", seconds=60)
    sender.finish(timeout=2)  # for each request, not for all of them
    assert journal.waiting("server") == 0


def test_an_outage_is_said_once_and_without_the_password(journal, capsys):
    tries = []

    def trouble(keys):
        tries.append(keys)
        if len(tries) < 5:
            raise MlflowException("API request to http://me:secret@example.org/api failed")

    journal.append(points(1))
    sender = Sender(journal, receiver(journal, Server(trouble)), "server", seconds=0.01)
    while journal.waiting("server"):
        time.sleep(0.01)
    sender.finish(1)
    said = capsys.readouterr().err
    assert said.count("not sent") == said.count("http://example.org") == 1
    assert "secret" not in said


def test_deliveries_that_cost_more_are_further_apart():
    assert delivery.pause(2.0, busy=0.001) == 2.0
    assert delivery.pause(2.0, busy=0.02) == pytest.approx(4.0)
    assert delivery.pause(2.0, busy=3.0) == 10.0
