"""`lab compare`, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, trim_mean

Lab = Callable[..., Any]
SLOW, FAST = [-300.0 - 7 * seed for seed in range(5)], [-310.0 + 9 * seed for seed in range(5)]


@pytest.mark.slow
def test_the_table(lab: Lab, recorded_runs: str) -> None:
    outcome = lab("compare", "slow", "recipe:fast", "--uri", recorded_runs)
    assert outcome.code == 0
    assert "1 run left out: not finished\n" in outcome.err
    first, titles, *rows = outcome.out.splitlines()
    assert first == "test/return (more is better)"
    assert titles.split()[:4] == ["GROUP", "RUNS", "MEAN", "IQM"]
    assert titles.endswith("BETTER THAN slow model.lr=0.001")
    assert len(rows) == 2
    probability = mannwhitneyu(FAST, SLOW).statistic / 25
    for row, label, scores in zip(rows, ["slow model.lr=0.001", "fast model.lr=0.01"], [SLOW, FAST], strict=True):
        assert row.startswith(label)
        figures = row.removeprefix(label).replace("[", " ").replace("]", " ").replace(",", " ").split()
        assert float(figures[0]) == 5
        assert float(figures[1]) == pytest.approx(np.mean(scores), rel=1e-3)
        assert float(figures[2]) == pytest.approx(trim_mean(scores, 0.25), rel=1e-3)
        assert float(figures[3]) < float(figures[2]) < float(figures[4])
        assert [float(figure) for figure in figures[5:7]] == [min(scores), max(scores)]
    assert f" {probability:.2f} [" in rows[1]
    assert rows[0].endswith("-")
    assert lab("compare", "slow", "recipe:fast", "--uri", recorded_runs).out == outcome.out


@pytest.mark.slow
def test_a_study_as_json(lab: Lab, recorded_runs: str) -> None:
    found = json.loads(lab("compare", "rates", "--json", "--uri", recorded_runs).out)
    assert (found["metric"], found["mode"], found["reference"]) == ("test/return", "max", "model.lr=0.1")
    assert [(row["settings"], row["runs"]) for row in found["groups"]] == [
        ({"model.lr": "0.1"}, 3),
        ({"model.lr": "0.2"}, 3),
        ({"model.lr": "0.3"}, 2),
    ]
    worse = found["groups"][1]
    assert worse["better"] == {"probability": 0.0, "interval": {"low": 0.0, "high": 0.0}}
    assert worse["interval"] == {"low": -200.0, "high": -140.0}
    assert sorted(worse["ids"]["Pendulum-v1"]) == ["0", "1", "2"]
    least = json.loads(lab("compare", "rates", "--mode", "min", "--json", "--uri", recorded_runs).out)
    assert [row["label"] for row in least["groups"]] == ["model.lr=0.3", "model.lr=0.2", "model.lr=0.1"]


def test_one_group_is_compared_with_nothing(lab: Lab, recorded_runs: str) -> None:
    outcome = lab("compare", "last", "--uri", recorded_runs)
    assert outcome.out.splitlines()[1].split() == ["GROUP", "RUNS", "MEAN", "IQM", "95", "%", "OF", "IQM", "MIN", "MAX"]
    assert outcome.out.splitlines()[2].split() == ["last", "1", "1", "1", "-", "1", "1"]


@pytest.mark.slow
def test_a_picture(lab: Lab, recorded_runs: str) -> None:
    outcome = lab("compare", "rates", "--plot", "rates.png", "--uri", recorded_runs)
    assert outcome.err.endswith("wrote rates.png\n")
    assert Path("rates.png").read_bytes().startswith(b"\x89PNG")
    outcome = lab("compare", "last", "--plot", "last.svg", "--uri", recorded_runs)
    said = "no curve of last: its runs have no two steps of val/return in common\nwrote last.svg\n"
    assert outcome.err.endswith(said)
    outcome = lab(
        "compare",
        "slow",
        "--curve",
        "val/return",
        "--curve",
        "env_steps",
        "--plot",
        "two.svg",
        "--uri",
        recorded_runs,
    )
    assert "no curve of slow: its runs have no two steps of env_steps in common\n" in outcome.err
    assert "val/return (IQM)" in Path("two.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["slwo"], "no study, recipe, experiment or run 'slwo'; did you mean 'slow'?; lab runs lists them"),
        (["slow", "--metric", "val/retrun"], "no run has a metric 'val/retrun'; did you mean 'val/return'?"),
        (
            ["slow", "--curve", "loss/q,val/retrun", "--plot", "a.png"],
            "--curve loss/q: no run has such a metric",
        ),
        (["slow", "--curve", "val/return"], "--curve needs --plot FILE: curves are part of the plot"),
        (["halted"], "'halted' has no finished runs; lab runs lists all"),
        (
            ["slow", "--metric", "env_steps"],
            "no run records whether a larger or a smaller env_steps is better; give --mode max or --mode min",
        ),
    ],
)
def test_bad_input_is_one_line(lab: Lab, recorded_runs: str, arguments: list[str], message: str) -> None:
    outcome = lab("compare", *arguments, "--uri", recorded_runs)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("plot", "message"),
    [
        ("x.jpg", "--plot x.jpg: expected a name ending in .png, .pdf or .svg"),
        ("no/x.png", "--plot no/x.png: there is no folder no"),
        ("folder.png", "--plot folder.png is a folder; name a file"),
    ],
)
def test_a_picture_that_cannot_be_written_is_refused_first(lab: Lab, plot: str, message: str) -> None:
    Path("folder.png").mkdir()
    outcome = lab("compare", "anything", "--plot", plot)
    assert (outcome.code, outcome.err) == (2, f"error: {message}\n")


def test_no_runs_yet(lab: Lab) -> None:
    outcome = lab("compare", "anything")
    assert outcome.code == 2
    assert outcome.err == "error: no runs in mlflow.db yet; start one: lab run ddpg_pendulum\n"
    assert not Path("mlflow.db").exists()


@pytest.mark.long
def test_comparing_does_not_import_torch(recorded_runs: str) -> None:
    script = (
        "import sys; from lab import comparison; found = comparison.select(['rates'], uri=sys.argv[1]); "
        "comparison.report(found.groups, found.mode); sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, recorded_runs], check=True)
