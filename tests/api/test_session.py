"""What a function of the package leaves behind, and what a notebook shows."""

import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import lab
from lab.api import notebook
from lab.api.notebook import CellDisplay
from lab.api.session import Interrupted, reading, training
from lab.engine.process import prepare
from lab.engine.signals import SignalHandler, Stopped
from lab.errors import BadInput, LabError, Problem, RecipeError
from lab.stages import LOGGER, Progress, report, say, stage


def state():
    """What a program may have set, as plain values."""
    import matplotlib

    return {
        "random": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "denormal": (torch.tensor([5e-324], dtype=torch.float64) * 1).item() != 0,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn": (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
        "precision": (torch.get_float32_matmul_precision(), torch.get_default_dtype()),
        "gradients": torch.is_grad_enabled(),
        "backend": matplotlib.get_backend(auto_select=False),
        "variables": dict(os.environ),
        "filters": list(warnings.filters),
        "handlers": [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "loggers": [(each.level, list(each.handlers), each.propagate) for each in map(logging.getLogger, LOGGERS)],
        "start method": multiprocessing.get_start_method(allow_none=True),
        "output": (sys.stdout, sys.stderr),
    }


LOGGERS = (
    "",
    "lab",
    "lightning",
    "lightning.pytorch",
    "lightning.fabric",
    "torchrl",
    "mlflow",
    "alembic",
    "matplotlib",
)


def test_everything_that_training_sets_is_put_back():
    before = state()
    with training():
        from lightning import seed_everything

        seed_everything(3, workers=True, verbose=False)
        prepare(threads=torch.get_num_threads() + 1)
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("medium")
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger().addHandler(logging.NullHandler())
        os.environ["LEFT_BEHIND"] = "1"
        multiprocessing.set_start_method("forkserver", force=True)
        assert state() != before
    assert state() == before


def test_it_is_put_back_after_an_error_too():
    before = state()
    with pytest.raises(BadInput), training():
        raise BadInput(f"no {torch.manual_seed(0)}")
    assert state() == before


def test_a_call_from_another_thread_waits():
    order = []

    def second():
        with reading():
            order.append("second")

    with reading():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_an_interrupt_is_one_word_in_a_notebook_and_still_a_keyboard_interrupt():
    with pytest.raises(KeyboardInterrupt) as caught, training():
        raise KeyboardInterrupt
    assert isinstance(caught.value, Interrupted)
    assert caught.value._render_traceback_() == ["interrupted"]


def test_a_mistake_is_shown_in_its_lines(monkeypatch):
    error = RecipeError([Problem("a.yaml:3", "model.lr", "expected a number"), Problem("a.yaml:4", "seed", "missing")])
    assert error._render_traceback_() == [
        "a.yaml:3: model.lr: expected a number",
        "a.yaml:4: seed: missing",
        "2 problems in a.yaml; nothing was started",
    ]
    assert str(error) == "a.yaml:3: model.lr: expected a number\na.yaml:4: seed: missing"
    assert LabError("no disk")._render_traceback_() == ["error: no disk"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@host")
    with pytest.raises(LabError) as caught, reading():
        raise LabError("http://ann:secret@host does not answer")
    assert "secret" not in str(caught.value)
    with pytest.raises(RecipeError) as caught, reading():
        raise RecipeError([Problem("a.yaml", "track.uri", "http://ann:secret@host is none")])
    assert "secret" not in "".join([str(caught.value), *caught.value.lines()])


# ------------------------------------------------------------------------------------------------------- in a notebook


@pytest.fixture
def cell(monkeypatch):
    """A kernel of a notebook, as far as this package looks: the contents of the output, one after the other."""
    shown = []

    class Output:
        def update(self, page, **_):
            shown.append(page)

    def display(page, raw, display_id):
        shown.append(page)
        return Output()

    kernel = SimpleNamespace(kernel=object())
    fake = SimpleNamespace(get_ipython=lambda: kernel, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", fake.display)
    return shown


def test_progress_is_one_block_that_changes(cell, monkeypatch, capsys):
    monkeypatch.setattr(notebook, "UPDATE_SECONDS", 0)
    assert notebook.in_notebook()
    with training():
        stage("importing <torch>")
        say("run 1 of ddpg")
        report(Progress(30, 100, "30/100 batches", 1.0))
        report(Progress(60, None, "60 batches", 2.0))
        for i in range(100):
            say(f"validation {i}")
    pages = [page["text/html"] for page in cell]
    assert "importing &lt;torch&gt; ..." in pages[0]
    assert '<progress value="30" max="100"></progress> 30/100 batches' in pages[2]
    assert "<progress></progress> 60 batches" in pages[3]
    assert cell[-1]["text/plain"].splitlines() == ["... 89 earlier lines", *(f"validation {i}" for i in range(88, 100))]
    assert "<progress" not in pages[-1]
    assert capsys.readouterr() == ("", "")
    assert not [handler for handler in LOGGER.handlers if isinstance(handler, CellDisplay)]


def test_updates_are_not_sent_more_often_than_they_can_be_seen(cell):
    with training():
        for i in range(1000):
            report(Progress(i, 1000, f"{i}/1000 batches", 1.0))
    assert len(cell) < 10


def test_a_script_says_what_the_command_line_says(capsys):
    with training():
        stage("testing")
        say("trained in 3 s")
        print("a library prints")
    assert capsys.readouterr() == ("", "testing\ntrained in 3 s\na library prints\n")


def test_the_second_interrupt_of_a_notebook_stops_the_training_and_not_the_kernel(monkeypatch, capsys):
    monkeypatch.setattr(sys, "ps1", "In : ", raising=False)
    handler = SignalHandler()
    with handler.installed(on_second=lambda: None):
        handler.deferred = True
        os.kill(os.getpid(), signal.SIGINT)
        assert "stopping after this batch; interrupt again to stop now" in capsys.readouterr().err
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGINT)
        handler.ending = True
        os.kill(os.getpid(), signal.SIGINT)  # the run is being written down
    assert capsys.readouterr().err == ""


# ------------------------------------------------------------------------------------------------------------ importing


def test_the_names_are_there_for_completion():
    assert {"run", "tune", "compare", "claim", "load", "runs", "resume", "evaluate", "play", "sample"} <= set(dir(lab))
    assert all(callable(getattr(lab, name)) for name in lab.__all__)
    with pytest.raises(AttributeError, match="no attribute 'rnu'"):
        lab.rnu  # noqa: B018


def test_importing_the_package_imports_nothing_else():
    code = "import sys; old = set(sys.modules); import lab; print(*sorted(set(sys.modules) - old))"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in names if name.partition(".")[0] == "lab"} == {"lab", "lab.exports"}
    assert len(names) < 12
    assert "importlib.metadata" not in names


def test_asking_for_a_function_imports_nothing_heavy():
    code = "import sys, lab; [getattr(lab, name) for name in lab.__all__]; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "lightning", "mlflow", "optuna", "pandas", "numpy", "matplotlib"} & set(names)
