"""What holds for every test."""

import functools
import gc
import itertools
import os
import shutil
import sys
from pathlib import Path

import pytest

# Tests run side by side, one on each core, where threads of PyTorch's wait for each other; it reads this when imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Pictures of fewer pixels: to draw and compress them is most of the time of many a short run.
os.environ.setdefault("MATPLOTLIBRC", str(Path(__file__).with_name("matplotlibrc")))
ADDRESS = "MLFLOW_TRACKING_URI"
GIVEN = os.environ.get(ADDRESS)

# Tests kill processes but never the machine, and a busy disk makes a short run wait for seconds.
os.fsync = lambda descriptor: None  # noqa: ARG005 - the name of the standard library

# The libraries that test files import are a million objects that live until the end. Python's garbage collector would
# go through all of them again and again, half a second each time.
gc.disable()


def pytest_collection(session):
    """Wall-clock limits of hypothesis say how busy the machine is. Where xdist collects elsewhere, nothing needs it."""
    if session.config.getoption("numprocesses", None):
        return
    from hypothesis import HealthCheck, settings

    settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
    settings.load_profile("tests")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Lets slow tests come first, so that no process has one left when the others have finished.

    pytest-xdist gives each process one stretch of all tests to begin with. Those of a file stay together.
    """
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if count == 1:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = iter([item for item in items if not item.get_closest_marker("slow")])
    number = {path: i for i, path in enumerate(dict.fromkeys(item.path for item in slow))}
    ordered = []
    for i in range(count):
        first = [item for item in slow if number[item.path] % count == i]
        ordered += [*first, *itertools.islice(others, max(0, len(items) // count - len(first)))]
    items[:] = [*ordered, *others]


def pytest_collection_finish():
    gc.collect()
    if "torch" in sys.modules:
        from lab.engine.process import freeze_heap

        freeze_heap()
    if "lightning" in sys.modules:  # each Trainer searches all packages for callbacks, a hundredth of a second
        from lightning.fabric.utilities import registry

        registry.entry_points = functools.cache(registry.entry_points)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def shared_data(tmp_path_factory):
    """Generated data is made once for the tests of all processes, unless a test asks for a folder of its own."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    os.environ["LAB_DATA"] = str(folder / "data")


@pytest.fixture(autouse=True)
def ordinary_numbers():
    """A run flushes denormal numbers for its whole process; tests that follow want them back."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(autouse=True)
def small_pictures(request, monkeypatch):
    """Half of a short run's time is to draw its pictures, which the contract does for every task.

    Here each run logs an empty one of a few pixels instead, unless a test has the marker `pictures`.
    """
    client = sys.modules.get("mlflow.tracking.client")
    if client is None or request.node.get_closest_marker("pictures"):
        return
    from matplotlib.figure import Figure

    log_figure = client.MlflowClient.log_figure

    def log_small(self, run_id, figure, *arguments, **settings):
        return log_figure(
            self, run_id, Figure((0.1, 0.1)) if isinstance(figure, Figure) else figure, *arguments, **settings
        )

    monkeypatch.setattr(client.MlflowClient, "log_figure", log_small)


@pytest.fixture(autouse=True)
def no_address_left_behind():
    """MLflow keeps the address that it used last in a variable, which commands of later tests would follow."""
    yield
    if GIVEN is None:
        os.environ.pop(ADDRESS, None)
    else:
        os.environ[ADDRESS] = GIVEN


@pytest.fixture(scope="session")
def empty_database():
    """A database as MLflow makes it, which costs seconds each time."""
    from lab.testing.runs import empty_database

    return empty_database()


@pytest.fixture
def tracked(tmp_path, empty_database):
    """A folder in which runs may be tracked at once."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture(scope="session")
def recorded_runs(tmp_path_factory, empty_database):
    """The address of a database with runs to compare.

    Recipes `slow` and `fast` with five seeds each, evaluated at different steps; a study `rates` with three seeds of
    three rates, one trial pruned; an unfinished run; and another experiment of the name of a recipe.
    """
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    address = f"sqlite:///{shutil.copy(empty_database, tmp_path_factory.mktemp('recorded'))}"
    server = MlflowClient(address)

    def record(experiment, name, params, tags, points, score, status="FINISHED"):
        params = {"task": "ddpg", "data.env": "Pendulum-v1", "threads": "1", **params}
        tags = {"task": "ddpg", "mlflow.lab.score": "test/return", "mlflow.lab.mode": "max", **tags}
        run = server.create_run(experiment, run_name=name, tags={"seed": params["seed"]}).info.run_id
        metrics = [Metric("val/return", value, step, step) for step, value in points]
        metrics += [Metric("env_steps", step, step, step) for step, _ in points[-1:]]
        metrics += [Metric("test/return", score, 9, points[-1][0])] if status == "FINISHED" else []
        server.log_batch(
            run, metrics, [Param(*item) for item in params.items()], [RunTag(*item) for item in tags.items()]
        )
        server.set_terminated(run, status)
        return run

    pendulum = server.create_experiment("pendulum")
    for seed in range(5):
        for recipe, rate, every, score in [
            ("slow", "0.001", 100, -300 - 7 * seed),
            ("fast", "0.01", 130, -310 + 9 * seed),
        ]:
            points = [(every * (i + 1), score - 1000 / (i + 1)) for i in range(10)]
            params = {"seed": str(seed), "model.lr": rate}
            record(pendulum, recipe, params, {"recipe": recipe}, points, score)
    record(pendulum, "halted", {"seed": "9"}, {"recipe": "slow"}, [(100, -1.0)], 0.0, "KILLED")
    rates = server.create_experiment("rates of ddpg")
    parent = server.create_run(rates, run_name="rates", tags={"mlflow.lab.kind": "study", "study": "rates"}).info.run_id
    for trial, rate in enumerate(["0.1", "0.2", "0.3"]):
        for seed in range(3):
            tags = {"recipe": "base", "study": "rates", "trial": str(trial), "mlflow.parentRunId": parent}
            score = -100.0 * (trial + 1) + 30 * seed
            status = "KILLED" if (trial, seed) == (2, 2) else "FINISHED"
            params = {"seed": str(seed), "model.lr": rate}
            record(rates, f"rates-{trial}", params, tags, [(100, score), (200, score)], score, status)
    server.set_terminated(parent)
    other = server.create_experiment("fast")
    record(other, "lonely", {"seed": "0", "model.lr": "1"}, {"recipe": "other"}, [(100, 1.0)], 1.0)
    server.create_experiment("empty")
    return address
