"""A run from its recipe to MLflow's pages, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lab = Callable[..., Any]


@pytest.mark.slow
@pytest.mark.usefixtures("tracked")
def test_train_then_test_then_film(lab: Lab, good: Path) -> None:
    trained = lab("run", str(good), "--json")
    assert trained.code == 0, trained.err
    result = json.loads(trained.out)
    run = result["run_id"][:8]
    assert Path(result["best"]).is_file()
    assert Path(result["last"]).is_file()

    second = lab("run", str(good), "seed=1", "--name", "7")
    assert second.code == 0, second.err
    assert second.out.startswith("FINISHED 7, trained in ")

    rows = json.loads(lab("runs", "--json").out)
    assert [(row["name"], row["seed"]) for row in rows] == [("7", 1), ("good", 0)]
    assert rows[1]["score"] == pytest.approx(result["score"])
    assert run in lab("runs", "--experiment", "cli").out
    assert "did you mean 'cli'" in lab("runs", "--experiment", "clo").err
    compared = json.loads(lab("compare", "good", "--json").out)
    assert [(group["label"], group["runs"]) for group in compared["groups"]] == [("good", 2)]
    assert (compared["metric"], compared["mode"]) == (result["monitor"], "max")

    tested = json.loads(lab("eval", run, "--json").out)
    assert tested[result["monitor"]] == pytest.approx(result["score"])
    longer = json.loads(lab("eval", "last", "--episodes", "3", "--checkpoint", "last", "--json").out)
    assert longer.keys() == tested.keys()
    assert lab("eval", "nothing").code == 2

    filmed = lab("play", run, "--video", "agent.mp4")
    assert filmed.out.startswith("wrote agent.mp4: one episode from start seed 0, return -")
    assert Path("agent.mp4").stat().st_size > 1000
    assert lab("play", run, "--video", "agent.gif").code == 2

    collected = lab("collect", run, "--episodes", "2", "--noise", "0.5", "--to", "mine/two-v0", "--json")
    assert json.loads(collected.out)["episodes"] == 2
    shown = json.loads(lab("data", "show", "mine/two-v0", "--json").out)
    assert (shown["rows"], shown["counts"]["steps"]) == (2, json.loads(collected.out)["steps"])
    assert "\nerror: 'two' is no Minari id; expected a name and a version" in lab("collect", run, "--to", "two").err
    assert lab("collect", run, "--noise", "-1").err == "error: noise -1.0: expected a number from 0\n"


@pytest.mark.long
def test_the_next_commands_work_as_printed(lab: Lab, good: Path) -> None:
    printed = lab("run", str(good), "track.uri=sqlite:///elsewhere.db").out
    commands = [line.split()[1:] for line in printed.partition("next\n")[2].splitlines()]
    assert [command[0] for command in commands] == ["eval", "play", "ui"]
    for command in commands[:2]:
        assert lab(*command).code == 0
    assert commands[2][1:] == ["--uri", "sqlite:///elsewhere.db"]


def test_no_runs_yet(lab: Lab) -> None:
    outcome = lab("ui")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "error: no runs in mlflow.db yet; start one: lab run ddpg_pendulum\n"


def test_a_server_has_its_own_pages(lab: Lab) -> None:
    address = lab("ui", "--uri", "http://me:secret@example.org:5000").out
    assert address == "http://example.org:5000/#/experiments?workflowType=machine_learning\n"


@pytest.mark.slow
def test_the_page_of_a_comparison(lab: Lab, recorded_runs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "execv", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    address = lab("ui", "slow", "recipe:fast", "--port", port, "--uri", recorded_runs).out
    assert address.startswith(f"http://127.0.0.1:{port}/#/metric?runs=")
    assert "&metric=%22val/return%22&" in address
    assert lab("ui", "nobody", "--port", port, "--uri", recorded_runs).code == 2


def test_a_slip_in_last(lab: Lab, recorded_runs: str) -> None:
    assert "no run 'lst'; did you mean 'last'?" in lab("eval", "lst", "--uri", recorded_runs).err


def test_a_taken_port(lab: Lab) -> None:
    Path("mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        outcome = lab("ui", "--port", str(port))
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: port {port} is taken; try: lab ui --port ")


def test_the_pages_are_those_of_the_chosen_database(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    stores: list[str] = []
    jobs: list[str] = []

    def execv(program: str, words: list[str]) -> None:
        started.append([program, *words])
        stores.append(os.environ["MLFLOW_BACKEND_STORE_URI"])
        jobs.append(os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"])

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    Path("other.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    assert lab("ui", "--port", port).out.startswith(f"http://127.0.0.1:{port}/#/")
    program, *words = started[0]
    assert program == sys.executable
    assert words[1:4] == ["-m", "mlflow", "ui"]
    assert words[4:8] == ["--host", "127.0.0.1", "--port", port]
    assert stores == [f"sqlite:///{Path.cwd()}/other.db"]
    assert jobs == ["false"]
    assert not [word for word in words if "other.db" in word]  # `ps` would show it, and a password in it


@pytest.mark.long
def test_the_pages_answer(tracked: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [sys.executable, "-m", "lab", "ui", "--port", str(port)]
    pages = subprocess.Popen(
        command, cwd=tracked, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert healthy(f"http://127.0.0.1:{port}/health", within=120)
    finally:
        os.killpg(pages.pid, signal.SIGTERM)
        pages.wait(30)


def healthy(address: str, within: float) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            time.sleep(0.5)
    return False
