"""The faults of `make faults`: what judges them would notice a loss, and the line to the server can be slow."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lab.recipe import load
from lab.runner.assemble import assemble

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.syspath_prepend(ROOT / "benchmarks/faults/tasks")


@pytest.mark.parametrize(
    ("change", "other", "missing", "doubled"),
    [
        ("nothing", 0, 0, 0),
        ("weights", 1, 0, 0),
        ("a metric less", 0, 1, 0),
        ("a metric twice", 0, 0, 1),
        ("another value", 0, 1, 1),
        ("not finished", 0, 0, 0),
    ],
)
def test_a_loss_is_noticed(
    change: str, other: int, missing: int, doubled: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from benchmarks.faults import case, lives

    metrics = Counter([("val/loss", step, 1.0 / step) for step in (1, 2, 3)])
    whole = lives.End({"w": torch.zeros(2)}, metrics.copy())
    weights = {"w": torch.zeros(2)}
    status = "FINISHED"
    if change == "weights":
        weights = {"w": torch.tensor([0.0, 1e-30])}
    if change in ("a metric less", "another value"):
        metrics -= Counter([("val/loss", 2, 0.5)])
    if change == "another value":
        metrics += Counter([("val/loss", 2, 0.6)])
    if change == "a metric twice":
        metrics += Counter([("val/loss", 1, 1.0)])
    if change == "not finished":
        status = "RUNNING"
    run = SimpleNamespace(
        info=SimpleNamespace(status=status), data=SimpleNamespace(tags={"mlflow.lab.checkpoints": tmp_path})
    )
    server = SimpleNamespace(get_run=lambda _: run)
    monkeypatch.setattr(case, "client", lambda _: server)
    monkeypatch.setattr(lives, "client", lambda _: server)
    monkeypatch.setattr(case, "metrics", lambda *_: metrics)
    monkeypatch.setattr(case, "weights", lambda _: weights)

    found = case.Case("kill -9", "somewhere")
    found.judge(lives.Story("uri", "run", codes=[137, 0], statuses=["RUNNING"]), whole)
    assert (found.weights, found.missing, found.doubled) == (other, missing, doubled)
    assert found.lost == (change != "nothing")
    assert "137 RUNNING" in found.row()
    assert ("nothing was lost" in case.verdict([found])) == (change == "nothing")


def test_a_line_to_a_server_is_slow_or_dead_when_asked():
    from benchmarks.faults.mlflow_server import Proxy

    with socket.create_server(("127.0.0.1", 0)) as echo:
        threading.Thread(target=_answer, args=(echo,), daemon=True).start()
        line = Proxy(echo.getsockname()[1])
        with socket.create_connection(("127.0.0.1", int(line.uri.rpartition(":")[2])), timeout=10) as near:
            seconds = []
            for delay in (0.0, 0.5):
                line.delay = delay
                start = time.monotonic()
                near.sendall(b"question")
                assert near.recv(100) == b"question"
                seconds.append(time.monotonic() - start)
            assert seconds[1] > max(0.5, seconds[0])

            line.delay, line.dead = 0.0, True
            near.sendall(b"question")
            near.settimeout(0.3)
            with pytest.raises(TimeoutError):
                near.recv(100)
            line.dead = False
            near.settimeout(10)
            assert near.recv(100) == b"question"
        line.close()


def _answer(echo: socket.socket) -> None:
    connection, _ = echo.accept()
    while data := connection.recv(100):
        connection.sendall(data)


def test_the_task_of_the_faults_can_be_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAULT", "row 12")
    monkeypatch.delitem(sys.modules, "rows", raising=False)
    built: Any = assemble(load(ROOT / "benchmarks/faults/tasks/rows.yaml", ["data.pause=0"]))
    rows = built.data.train_dataloader().dataset
    assert rows[11].shape == (4,)
    with pytest.raises(ValueError, match="row 12 is torn"):
        rows[12]


@pytest.mark.long
def test_nothing_is_lost():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", "--quick"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_gpt_by_hand_has_the_loss_of_the_language_model() -> None:
    from benchmarks.gpt import Work, same_batch

    losses = same_batch(Work(1))
    assert losses["walk"] == pytest.approx(losses["loop"], rel=1e-5)


@pytest.mark.long
def test_agents_have_the_networks_of_stable_baselines() -> None:
    pytest.importorskip("sb3_contrib", reason="needs the extra: pip install 'torch-lab[dev]'")
    from benchmarks import kinds_vs_sb3

    for job in kinds_vs_sb3.JOBS:
        agent: Any = assemble(kinds_vs_sb3.recipe(job)).module
        theirs = kinds_vs_sb3.model(job)
        holders = [theirs.policy] if hasattr(theirs.policy, "optimizer") else [theirs.actor, theirs.critic]
        groups = [group for holder in holders for group in holder.optimizer.param_groups]
        numbers = sum(weight.numel() for group in groups for weight in group["params"])
        temperature = len(holders) - 1  # of CrossQ, which has an optimiser of its own there
        assert sum(weight.numel() for group in agent.groups() for weight in group) == numbers + temperature, job.title


def test_silence_and_what_a_log_should_not_have_are_noticed(tmp_path: Path) -> None:
    from benchmarks import silence

    speaking = "import time; print('one', flush=True); time.sleep(0.3); print('\\x1b[2Ktwo')"
    for terminal in (True, False):
        pieces, status = silence.listen([sys.executable, "-c", speaking], tmp_path, terminal)
        text = b"".join(piece.text for piece in pieces)
        assert (status, silence.words(text).split()) == (0, ["one", "two"])
        assert pieces[-2].at - pieces[0].at >= 0.2, "the time of each piece"
        codes = [b"\r", b"\x1b[2K"] if terminal else [b"\x1b[2K"]
        assert silence.faults_of_log(text) == [f"{code!r} in the log" for code in codes]
    quiet = [silence.Piece(1.0, b"reading\n"), silence.Piece(5.0, b"\r 50%|##  | 1/2"), silence.Piece(5.5, b"")]
    assert silence.longest(quiet) == (4.0, 1.0, "reading")
    assert silence.faults_of_log(quiet[1].text)[1:] == ["a bar in the log:  50%|##  | 1/2"]


def test_the_contest_of_defaults_goes_on_after_an_interruption(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks import defaults_vs_sb3 as defaults

    trained: list[tuple[str, int]] = []
    interrupted_at = 3

    @contextmanager
    def workers():
        def train(side: str, _: defaults.Contest, seed: int) -> defaults.Trained:
            if len(trained) == interrupted_at:
                raise KeyboardInterrupt
            trained.append((side, seed))
            return defaults.Trained(10.0 * (side == "theirs") + seed, 1.0)

        yield train

    monkeypatch.setattr(defaults, "KEPT", tmp_path / "results" / "kept.json")
    monkeypatch.setattr(defaults, "CONTESTS", (defaults.Contest("a2c", "CartPole-v1", 500),))
    monkeypatch.setattr(defaults, "workers", workers)
    with pytest.raises(KeyboardInterrupt):
        defaults.measure(quick=False)
    interrupted_at = -1
    found = defaults.measure(quick=False)
    assert trained == [(side, seed) for seed in range(defaults.SEEDS) for side in ("theirs", "ours")]
    assert "12.0 (10.3 to 13.7) | 2.0 (0.3 to 3.7) | 1 | 1 | **below** |" in defaults.report(found)
    assert "Significantly below: 1 of 1." in defaults.report(found)


def test_default_settings_differ_only_where_one_interval_ends_below_the_other() -> None:
    from benchmarks.defaults_vs_sb3 import ABOVE, BELOW, OVERLAP, verdict
    from lab.stats import Interval

    middle = Interval(1.0, 2.0)
    others = (Interval(0.0, 0.9), Interval(0.0, 1.0), Interval(2.0, 3.0), Interval(2.1, 3.0))
    assert [verdict(other, middle) for other in others] == [BELOW, OVERLAP, OVERLAP, ABOVE]
