"""Studies on a Ray cluster of two nodes: everything once, whatever dies, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from shared import RECIPE

from lab.errors import BadInput, LabError
from lab.study.study import Study, tune
from lab.study.work.job import Job
from lab.study.work.launcher import Crashed, Ended, Event, Started, Validated
from lab.study.work.ray_launcher import RayLauncher

GRID = ("sampler: grid", "space: {model.lr: [0.001, 0.01, 0.1]}", "seeds: [0, 1]")
ALL = {f"{rate} {seed}" for rate in (0.001, 0.01, 0.1) for seed in (0, 1)}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Path]:
    """Two nodes with a CPU and an imaginary GPU each, found through RAY_ADDRESS; yields their workers' folder."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    folder = tmp_path_factory.mktemp("nodes")
    shutil.copy(empty_database, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
        from ray.cluster_utils import Cluster as Nodes

        node = {"num_cpus": 1, "num_gpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
        two = Nodes(initialize_head=True, head_node_args=node)
        try:
            del node["include_dashboard"]
            two.add_node(**node)
            two.wait_for_nodes()
            patch.setenv("RAY_ADDRESS", two.address)
            yield folder
        finally:
            two.shutdown()


@pytest.fixture
def home(nodes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder, as good as empty: the driver shares it with the nodes, as machines share a disk."""
    monkeypatch.chdir(nodes)
    for name in ("done", "shot", "mlruns"):
        shutil.rmtree(name, ignore_errors=True)
        Path(name).mkdir()
    Path("recipe.yaml").write_text(RECIPE)
    return nodes


@pytest.fixture
def studied(planned: Callable[..., object], tuned: object) -> Callable[..., Study]:
    """Works a study off on the two nodes."""

    def call(work: str, *lines: str, name: str) -> Study:
        return tune(planned(*GRID, *lines, name=name), workers=2, launcher="ray", work=work)  # type: ignore[arg-type]

    return call


def until(launcher: RayLauncher, kind: type, count: int = 1) -> list[Event]:
    """Events up to the `count`-th of a kind."""
    found: list[Event] = []
    end = time.monotonic() + 60
    while sum(isinstance(event, kind) for event in found) < count and time.monotonic() < end:
        found += launcher.events(1.0)
    return found


@pytest.mark.long
def test_every_training_is_done_once_and_both_nodes_work(studied):
    study = studied("shared:on_a_node", name="shared")
    assert [trial.state for trial in study.trials] == ["complete"] * 3
    assert {path.name for path in Path("done").iterdir()} == ALL
    who = Counter(path.read_text() for path in Path("done").iterdir())
    assert len(who) == 2
    assert [trial.number for trial in study.trials] == [0, 1, 2], "no trial was taken twice"
    assert [sorted(trial.results) for trial in study.trials] == [[0, 1]] * 3


@pytest.mark.long
def test_a_task_that_is_killed_is_done_again(studied):
    study = studied("shared:shot", "retries: 6", name="shot")
    assert [trial.state for trial in study.trials] == ["complete"] * 3
    assert {path.name for path in Path("shot").iterdir()} == ALL
    assert {path.name for path in Path("done").iterdir()} == ALL


@pytest.mark.long
@pytest.mark.usefixtures("home")
def test_a_death_is_an_event_and_says_why():
    launcher = RayLauncher(1, "works:mortal")
    try:
        job = Job(4, 2, "job", "model: {lr: 1.0}", "http://127.0.0.1:1")
        launcher.start(job)
        assert launcher.idle == 0
        events = until(launcher, Crashed)
        assert events == [Crashed((4, 2), "its process was killed or crashed (out of memory?)")]
        assert launcher.idle == 1
    finally:
        launcher.close()


@pytest.mark.long
@pytest.mark.usefixtures("home")
def test_work_that_cannot_be_imported_is_a_line():
    launcher = RayLauncher(1, "works:nothing")
    try:
        launcher.start(Job(0, 0, "job", "model: {lr: 1.0}", "http://127.0.0.1:1"))
        (event,) = until(launcher, Crashed)
        assert "nothing" in event.reason
        assert "\n" not in event.reason
    finally:
        launcher.close()


@pytest.mark.long
@pytest.mark.usefixtures("home")
def test_jobs_report_are_answered_and_stopped():
    launcher = RayLauncher(3, "shared:watched")
    try:
        jobs = {(0, seed) for seed in range(3)}
        for trial, seed in sorted(jobs):
            launcher.start(Job(trial, seed, "job", "{model: {lr: 1.0}}", "http://127.0.0.1:1", watched=True))
        begun = until(launcher, Validated, 2)
        one, other = {event.key for event in begun if isinstance(event, Started)}  # which two is up to Ray
        (waiting,) = jobs - {one, other}  # for a CPU
        launcher.answer(one, prune=True)
        launcher.answer(other, prune=False)
        events = until(launcher, Ended)
        assert next(event.result.status for event in events if isinstance(event, Ended)) == "pruned"
        ended = {event.key: event.result.status for event in launcher.stop() if isinstance(event, Ended)}
        assert ended == {other: "stopped", waiting: "stopped"}
        assert Path(f"done/stopped-1.0 {other[1]}").exists(), "it was asked, not killed"
        assert launcher.idle == 3
    finally:
        launcher.close()


@pytest.mark.long
@pytest.mark.parametrize(
    ("recipe", "asked"),
    [
        ("{}", {"CPU": 1, "GPU": 0.5}),  # three jobs, two GPUs
        ("{threads: 4, trainer: {accelerator: auto}}", {"CPU": 1, "GPU": 0.5}),  # no node has four CPUs
        ("{trainer: {accelerator: cpu}}", {"CPU": 1}),
    ],
)
@pytest.mark.usefixtures("home")
def test_what_a_job_asks_for(recipe, asked):
    launcher = RayLauncher(3, "shared:placed")
    try:
        launcher.start(Job(0, 0, "job", recipe, "http://127.0.0.1:1"))
        (event,) = until(launcher, Ended)
        assert event.result.metrics == asked
    finally:
        launcher.close()


@pytest.mark.long
@pytest.mark.usefixtures("home")
def test_several_machines_need_a_tracking_server():
    launcher = RayLauncher(1)
    try:
        launcher.several_machines = True
        with pytest.raises(BadInput, match="several machines cannot share an SQLite file"):
            launcher.start(Job(0, 0, "job", "{}", "sqlite:////here/mlflow.db"))
        assert launcher.idle == 1
    finally:
        launcher.close()


@pytest.mark.long
@pytest.mark.usefixtures("home")
def test_ctrl_c_and_sigterm_stay_the_studys_own():
    before = signal.getsignal(signal.SIGTERM)
    RayLauncher(1).close()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense", "RAY_ADDRESS nonsense: expected auto or host:port"),
        ("ray://127.0.0.1:10001", "RAY_ADDRESS ray://127.0.0.1:10001: expected auto or host:port"),
    ],
)
def test_an_address_that_is_none(monkeypatch, address, words):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(BadInput, match=words):
        RayLauncher(1)


def test_a_cluster_that_is_not_there(monkeypatch):
    pytest.importorskip("ray")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(LabError) as error:
        RayLauncher(1)
    refused = f"Ray cluster 127.0.0.1:{port} (RAY_ADDRESS) cannot be reached: Connection refused"
    assert str(error.value) == refused


def test_without_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadInput) as error:
        RayLauncher(1)
    assert str(error.value) == "--launcher ray needs Ray; pip install 'torch-lab[ray]'"


@pytest.mark.long
def test_a_real_study_on_a_ray_of_this_machine_alone(tracked):
    """Trains for real, through the command, and leaves no process behind."""
    pytest.importorskip("ray")
    (tracked / "recipe.yaml").write_text(RECIPE)
    study = "recipe: recipe.yaml\nsampler: grid\nspace: {model.lr: [0.001, 0.01]}\nmetric: test/return\n"
    (tracked / "local.yaml").write_text(study)
    environment = {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI")}
    command = [sys.executable, "-m", "lab", "tune", "local.yaml", "--launcher", "ray", "--workers", "1", "--json"]
    done = subprocess.run(command, cwd=tracked, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("complete") == 2
    assert "ray" not in done.stderr.lower()
    assert not rays(tracked)


def rays(folder: Path) -> set[int]:
    """Processes of Ray that were begun in that folder and live: another test may have a Ray of its own."""
    names = ("raylet", "gcs_server", "ray::")
    found = psutil.process_iter(["name", "status", "cwd"])
    here = [process for process in found if process.info["cwd"] == str(folder)]
    alive = [process for process in here if process.info["status"] != psutil.STATUS_ZOMBIE]
    return {process.pid for process in alive if (process.info["name"] or "").startswith(names)}
