"""Two processes on one study in PostgreSQL: they share the work, and one goes on when the other is killed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from processes import Started
from shared import RECIPE

from lab.errors import BadInput, LabError
from lab.study.work import storage

GRID = ("sampler: grid", "space: {model.lr: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]}", "seeds: [0, 1]")
ALL = {f"{rate} {seed}" for rate in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3) for seed in (0, 1)}

DRIVER = """\
import sys
import lab.study.report.report
from lab.study.plan import schema
from lab.study.plan.plan import make_plan
from lab.study.study import tune

lab.study.report.report.publish = lambda *_: None  # pictures take seconds
study = tune(make_plan(schema.load_study("study.yaml")), workers=1, address=sys.argv[1], work=sys.argv[2])
for trial in study.trials:
    print(trial.number, trial.state, trial.settings, trial.values, trial.results)
"""

pytestmark = pytest.mark.slow


def programs() -> Path | None:
    """Where PostgreSQL's server programs are: a package puts them aside, not on the path."""
    known = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    known += [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    return next((folder for folder in known if (folder / "postgres").exists()), None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a PostgreSQL server of these tests' own, without a database."""
    pytest.importorskip("psycopg2", reason="the extra `postgres` is not installed")
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL server is installed")
    user = None
    if os.geteuid() == 0:  # it refuses to run as root
        user = next(
            (name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()}), None
        )
        if user is None:
            pytest.skip("root has no other user to run PostgreSQL as")
    folder = Path(tempfile.mkdtemp(prefix="lab-postgres-"))  # short: its path becomes a socket's
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def call(program: str, *arguments: str) -> None:
        identity = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
        with (folder / "calls").open("a+") as output:  # no pipe: the server would keep it open
            command = [str(found / program), *arguments]
            done = subprocess.run(command, cwd=folder, stdout=output, stderr=output, **identity)
            output.seek(0)
            assert done.returncode == 0, output.read()

    data, log = str(folder / "data"), str(folder / "log")
    settings = f"-c fsync=off -c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
    call("initdb", "-D", data, "-U", "lab", "--auth=trust", "--no-sync", "--no-instructions")
    call("pg_ctl", "-D", data, "-l", log, "-o", settings, "-w", "start")
    try:
        yield f"postgresql://lab:s3cret@127.0.0.1:{port}"
    finally:
        call("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def database(server: str, request: pytest.FixtureRequest) -> str:
    """The address of an empty database."""
    import psycopg2

    name = f"test{abs(hash(request.node.name))}"
    connection = psycopg2.connect(f"{server}/postgres")
    connection.autocommit = True
    connection.cursor().execute(f"CREATE DATABASE {name}")
    connection.close()
    return f"{server}/{name}"


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    """MLflow's database with the experiment, which both might want to make."""
    from mlflow import MlflowClient

    path = Path(shutil.copy(empty_database, tmp_path_factory.mktemp("tracking")))
    MlflowClient(f"sqlite:///{path}").create_experiment("studies", artifact_location=str(path.parent / "mlruns"))
    return path


@pytest.fixture
def start(home: Path, tracking: Path, database: str) -> Iterator[Callable[..., Started]]:
    """Starts a process that works on the study, with one worker."""
    shutil.copy(tracking, home)
    Path("recipe.yaml").write_text(RECIPE)
    Path("study.yaml").write_text("\n".join(["recipe: recipe.yaml", *GRID]))
    Path("driver.py").write_text(DRIVER)
    begun: list[Started] = []

    def call(work: str) -> Started:
        begun.append(Started(home, "driver", database, work))
        return begun[-1]

    yield call
    for process in begun:
        process.kill()
        process.wait(10)


def parents(home: Path) -> list[str]:
    """The studies' own runs in MLflow."""
    from mlflow import MlflowClient

    server = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    found = server.search_runs([server.get_experiment_by_name("studies").experiment_id])
    return [run.info.status for run in found]


def test_two_processes_share_the_work(home, start):
    both = [start("shared:once"), start("shared:once")]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(errors for _, errors in said)
    assert said[0][0] == said[1][0], "both tell the same"
    assert said[0][0].count("complete") == 6
    done = {path.name: path.read_text() for path in Path("done").iterdir()}
    assert set(done) == ALL, "each once"
    assert set(done.values()) == {str(process.pid) for process in both}, "by both"
    assert parents(home) == ["FINISHED"]


@pytest.mark.usefixtures("home")
def test_the_other_one_finishes_what_a_killed_one_began(start):
    first, second = start("shared:patient"), start("shared:patient")
    end = time.monotonic() + 60
    while len(list(Path("done").iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    mine = next(path.name for path in Path("done").iterdir() if path.read_text() == str(first.pid))
    orphans = psutil.Process(first.pid).children(recursive=True)
    first.send_signal(signal.SIGKILL)
    Path("go").touch()
    out, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    assert out.count("complete") == 6
    done = {path.name: path.read_text() for path in Path("done").iterdir()}
    assert set(done) == {*ALL, f"{mine} again"}, "only what was under way is done again"
    assert done[f"{mine} again"] == str(second.pid)
    assert psutil.wait_procs(orphans, timeout=30)[1] == [], "the dead one's workers leave too"
    again = start("shared:patient")
    assert again.communicate(timeout=60)[0] == out, "nothing is left to do"


def test_a_server_that_is_not_there_is_one_line_without_the_password():
    with pytest.raises(LabError) as error:
        storage.open_storage("postgresql://me:s3cret@127.0.0.1:1/x", "study", "sqlite:///mlflow.db")
    said = str(error.value)
    assert said.startswith("storage postgresql://127.0.0.1:1/x cannot be reached: ")
    assert "refused" in said
    assert "s3cret" not in said
    assert "\n" not in said
    assert error.value.exit_code == 2


def test_a_server_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        address = f"postgresql://me:s3cret@127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(LabError, match="timeout expired") as error:
            storage.open_storage(address, "study", "sqlite:///mlflow.db")
    assert "s3cret" not in str(error.value)


def test_a_database_that_is_missing_or_refused(server):
    with pytest.raises(LabError) as error:
        storage.open_storage(f"{server}/missing", "study", "sqlite:///mlflow.db")
    assert 'database "missing" does not exist' in str(error.value)


@pytest.mark.parametrize("address", ["sqlite:///study.db", "oracle://me:s3cret@here/x"])
def test_what_cannot_be_shared_is_refused(address):
    with pytest.raises(BadInput) as error:
        storage.open_storage(address, "study", "sqlite:///mlflow.db")
    assert "postgresql://" in str(error.value)
    assert "s3cret" not in str(error.value)
