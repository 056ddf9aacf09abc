"""Studies whose processes are killed: every trial is accounted for, none is lost or done twice."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from processes import Started

from lab.imports import load_object
from lab.study.study import tune
from lab.study.work.job import train
from lab.study.work.launcher import TRAIN

pytestmark = pytest.mark.slow

STUDY = "recipe: recipe.yaml\nsampler: grid\nspace: {model.lr: [0.001, 0.01, 0.1, 1.0]}\nseeds: [0, 1, 2]\n"
DRIVER = """\
from lab.study.plan import schema
from lab.study.plan.plan import make_plan
from lab.imports import load_object
from lab.study.study import tune
from lab.study.work.job import train
from lab.study.work.launcher import TRAIN
found = tune(make_plan(schema.load_study("study.yaml")), workers=2, work="works:slow")
print([(trial.state, sorted(trial.results)) for trial in found.trials])
"""


@pytest.fixture
def driver(home: Path):
    """Starts the study in a process of its own, in which a second start goes on with it."""
    Path("study.yaml").write_text(STUDY)
    Path("driver.py").write_text(DRIVER)
    begun = []

    def start() -> Started:
        begun.append(Started(home, "driver"))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()


def wait_for(count: int, process: Started) -> None:
    """Until so many trainings are done."""
    until = time.monotonic() + 120
    while len(list(Path("done").iterdir())) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def children(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "lab.study.work.worker" in " ".join(child.cmdline())]


ALL = str([("complete", [0, 1, 2])] * 4)


def test_kill_9_of_the_parent_and_the_same_command_again(driver):
    first = driver()
    wait_for(4, first)
    workers = children(first.pid)
    assert len(workers) == 2
    first.kill()
    first.wait(10)
    _, left = psutil.wait_procs(workers, timeout=20)
    assert not left, "workers end when nobody is there any more"
    before = len(list(Path("done").iterdir()))
    assert 4 <= before < 12
    out, err = driver().communicate(timeout=120)
    assert out.strip() == ALL, err
    assert len(list(Path("done").iterdir())) == 12, "each training left one file, which no second one can leave"


def test_kill_9_of_a_worker_and_the_study_goes_on(driver):
    process = driver()
    wait_for(3, process)
    children(process.pid)[0].send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert out.strip() == ALL, err
    assert len(list(Path("done").iterdir())) == 12


def test_ctrl_c_stops_the_workers_and_gives_the_trials_back(driver):
    process = driver()
    wait_for(3, process)
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "stopped: study study keeps its trials; run the same command again to continue" in err
    assert not any(worker.is_running() for worker in workers)
    out, err = driver().communicate(timeout=120)
    assert out.strip() == ALL, err
    assert len(list(Path("done").iterdir())) == 12


def test_a_trial_that_always_kills_its_worker_is_given_up(planned):
    made = planned("sampler: grid", "space: {model.lr: [0.1, 1.0]}", "retries: 1")
    found = tune(made, workers=1, work="works:mortal")
    assert [trial.state for trial in found.trials] == ["complete", "failed"]
    assert found.trials[1].reason.startswith("its process ended by exit code 3; see ")
    assert found.trials[1].reason.endswith("worker-0.log, 2 times")


def test_workers_train_unless_told_otherwise():
    assert load_object(TRAIN) is train


@pytest.mark.long
def test_real_trainings_are_resumed_in_their_own_runs_after_both_kinds_of_death(home):
    """A worker is killed, then the command; repeated, it leaves every training finished once, to the same numbers."""
    lines = "recipe: ddpg_pendulum", "sampler: grid", "space: {model.gamma: [0.95, 0.98]}", "seeds: [0, 1]"
    more = "set: {data.total_steps: 3000, data.test_episodes: 4, checkpoint.steps: 500}"
    Path("real.yaml").write_text("\n".join([*lines, more]))
    command = [str(Path(sys.executable).with_name("lab")), "tune", "real.yaml", "--workers", "2", "--json"]

    def runs() -> list[str]:
        with contextlib.suppress(sqlite3.OperationalError), sqlite3.connect("file:mlflow.db?mode=ro", uri=True) as base:
            return [status for (status,) in base.execute("select status from runs")]
        return []

    def wait_until(status: str, count: int) -> None:
        until = time.monotonic() + 200
        while runs().count(status) < count:
            assert time.monotonic() < until
            time.sleep(0.1)

    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("RUNNING", 3)
    time.sleep(3)
    children(first.pid)[0].kill()
    wait_until("FINISHED", 1)
    time.sleep(2)
    first.kill()
    first.wait()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert runs() == ["FINISHED"] * 5, "four trainings and the study itself"
    whole = subprocess.run([*command, "--name", "whole"], capture_output=True, text=True, check=True)
    figures = [[line["metrics"] for line in json.loads(one.stdout)] for one in (again, whole)]
    assert figures[0] == figures[1], "to the same numbers"
