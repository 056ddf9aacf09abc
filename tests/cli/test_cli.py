"""The command line itself: what it loads, how it leaves, and what it prints where."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from processes import lab as run

import lab as package
from lab import registry, stages
from lab.cli.terminal import output, tables, working
from lab.recipe import load

Lab = Callable[..., Any]
HEAVY = {"torch", "lightning", "mlflow", "optuna", "gymnasium", "torchrl", "matplotlib"}


def process(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "importtime", "-m", "lab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **settings})


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["ls"], ["cp", "nothing"], ["--version"]])
def test_nothing_heavy_is_imported_before_it_is_needed(arguments: list[str]) -> None:
    imported = set(re.findall(r"\| +(\w+)$", process(*arguments).stderr, re.MULTILINE))
    assert "typer" in imported
    assert not imported & HEAVY


@pytest.mark.slow
def test_the_shell_completes_names_without_importing_them() -> None:
    words = {"_LAB_COMPLETE": "complete_bash", "COMP_WORDS": "lab show ddpg", "COMP_CWORD": "2"}
    code = "from lab.cli import main; main()"
    outcome = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **words},
    )
    assert {"ddpg", "ddpg_pendulum"} <= set(outcome.stdout.split())
    assert not set(re.findall(r"\| +(\w+)$", outcome.stderr, re.MULTILINE)) & HEAVY


@pytest.mark.slow
def test_a_closed_pipe_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-m", "lab", "ls"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ls:
        assert ls.stdout is not None
        assert ls.stderr is not None
        ls.stdout.close()
        assert ls.stderr.read() == b""


@pytest.mark.parametrize(("rank", "lines"), [("0", 1), ("1", 0)])
def test_what_every_process_of_a_training_refuses_is_said_once(
    rank: str, lines: int, lab: Lab, monkeypatch: Any
) -> None:
    monkeypatch.setenv("LOCAL_RANK", rank)
    outcome = lab("cp", "nothing", "x.yaml")
    assert (outcome.code, outcome.err.count("error: ")) == (2, lines)


LOUD = """\
import os
from gymnasium.envs.classic_control import PendulumEnv

class Loud(PendulumEnv):
    def reset(self, **words):
        os.write(1, b"from C")
        return super().reset(**words)
"""


@pytest.mark.slow
def test_what_a_c_library_prints_is_not_among_the_data(tmp_path: Path, good: Path) -> None:
    (tmp_path / "loud.py").write_text(LOUD)
    limit = "data.wrappers=[{class_path: TimeLimit, init_args: {max_episode_steps: 100}}]"
    done = run(tmp_path, "run", str(good), "data.env=loud:Loud", limit, "data.total_steps=300", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "FINISHED"
    assert "from C" in done.stderr


def test_version(lab: Lab) -> None:
    assert lab("--version").out == f"lab {package.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run"], ["run", "x.yaml", "--model.lr=3"], ["runs", "--last", "0"], ["runs", "--last", "many"]],
)
def test_bad_usage_is_2(arguments: list[str], lab: Lab) -> None:
    outcome = lab(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert re.fullmatch(r"error: .*\n", outcome.err), "one line, without a page of usage"


def test_a_surprise_is_one_line(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: bool) -> None:
        raise RuntimeError("[bold]first\nsecond")

    monkeypatch.setattr(registry, "plugins", fail)
    outcome = lab("plugins")
    assert outcome.code == 1
    assert outcome.err == "error: RuntimeError: [bold]first (set LAB_DEBUG=1 to see the traceback)\n"
    monkeypatch.setenv("LAB_DEBUG", "1")
    assert "Traceback (most recent call last)" in lab("plugins").err


def test_an_interrupt_is_130(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(**_: bool) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "plugins", interrupt)
    assert lab("plugins").code == 130


def test_a_table_in_a_pipe_is_plain_and_never_folded(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    del lab
    tables.table(["A", "B"], [["[red]x", "long " * 60], ["y", ""]])
    assert capsys.readouterr().out == f"A       B\n[red]x  {('long ' * 60).rstrip()}\ny\n"


def test_json_holds_no_nan() -> None:
    assert output.plain({"a": [float("nan"), (1, Path("x"))]}) == {"a": [None, [1, "x"]]}


def test_ls(lab: Lab) -> None:
    text = lab("ls", "--long").out
    assert re.search(r"^ddpg_pendulum +ddpg +\w.* torch-lab$", text, re.MULTILINE)
    assert re.search(r"^TASKS\n.*\bddpg,", text, re.MULTILINE)
    listed = json.loads(lab("ls", "--json").out)
    assert {"name": "ddpg", "field": "rl", "distribution": "torch-lab"} in listed["tasks"]
    assert all(Path(recipe["path"]).is_file() for recipe in listed["recipes"])


def test_show_a_task(lab: Lab) -> None:
    text = lab("show", "ddpg").out
    assert text.startswith("ddpg: Deep deterministic policy gradient")
    assert "best checkpoint: the largest val/return" in text
    assert re.search(r"^observation_size +int .* given by the data +\w", text, re.MULTILINE)
    assert re.search(r"^gamma +float +>= 0, <= 1 +0.99 +discount", text, re.MULTILINE)
    assert re.search(r"^total_steps +int +> 0 +required +\w", text, re.MULTILINE)
    shown = json.loads(lab("show", "ddpg", "--json").out)
    model = {parameter["name"]: parameter for parameter in shown["model"]}
    data = {parameter["name"]: parameter for parameter in shown["data"]}
    assert model["observation_size"]["given"]
    assert not model["observation_size"]["required"]
    assert model["gamma"]["default"] == 0.99
    assert data["total_steps"]["required"]
    assert "default" not in data["total_steps"]


def test_show_a_recipe_is_still_that_recipe(lab: Lab) -> None:
    Path("copy.yaml").write_text(lab("show", "ddpg_pendulum").out)
    original = load(registry.find_recipe("ddpg_pendulum"))
    assert load("copy.yaml").resolved() == original.resolved()
    shown = json.loads(lab("show", "copy.yaml", "--json").out)
    assert (shown["name"], shown["task"], shown["text"]) == ("copy", "ddpg", Path("copy.yaml").read_text())


OWN = """\
import lightning as L
from typing import Annotated
from annotated_types import Gt


class Model(L.LightningModule):
    \"\"\"A line through points.

    Args:
        inputs: how many numbers a point has; a fact of the data.
        lr: the step size.
        name: what it is called.
    \"\"\"

    def __init__(self, inputs: int, lr: Annotated[float, Gt(0)] = 0.1, name: str = "line") -> None:
        super().__init__()


class Points(L.LightningDataModule):
    \"\"\"Points.

    Args:
        path: their file.
    \"\"\"

    def __init__(self, path: str) -> None:
        super().__init__()

    def train_dataloader(self): ...

    def facts(self):
        return {"inputs": 2}
"""
OWN_RECIPE = """\
# points
task: {module: "own_points:Model", data: "own_points:Points"}
model: {lr: 0.2}
data: {path: points.csv}
trainer: {max_epochs: 1}
"""


def test_show_a_recipe_with_its_own_task_lists_its_parameters(lab: Lab) -> None:
    Path("own_points.py").write_text(OWN)
    Path("mine.yaml").write_text(OWN_RECIPE)
    text = lab("show", "mine.yaml").out
    assert yaml.safe_load(text) == yaml.safe_load(OWN_RECIPE), "it is a recipe still"
    lines = [line.split(maxsplit=2) for line in text.splitlines() if line.startswith("# ")]
    said = {line[1]: " ".join(line[2].split()) for line in lines if len(line) > 2}
    assert said["A"] == "line through points."
    assert said["inputs"] == "int given by the data how many numbers a point has; a fact of the data."
    assert said["lr"] == "float > 0 0.1, here 0.2 the step size."
    assert said["path"] == 'str required, here "points.csv" their file.'
    shown = json.loads(lab("show", "mine.yaml", "--json").out)
    model = {parameter["name"]: parameter for parameter in shown["model"]}
    assert model["lr"]["default"] == 0.1
    assert model["inputs"]["given"]
    assert [parameter["name"] for parameter in shown["data"]] == ["path"]
    assert shown["settings"] == {"model": {"lr": 0.2}, "data": {"path": "points.csv"}}
    assert (shown["name"], shown["task"], shown["text"]) == ("mine", "inline", OWN_RECIPE)
    Path("mine.yaml").write_text(OWN_RECIPE.replace("own_points:Model", "own_points:Modle"))
    outcome = lab("show", "mine.yaml")
    assert outcome.code == 0
    assert "its parameters are not listed: mine.yaml:2: task.module: " in outcome.err


def test_show_nothing_known(lab: Lab) -> None:
    outcome = lab("show", "ddpgg")
    assert outcome.code == 2
    assert (
        outcome.err
        == "error: no recipe, study or claim file 'ddpgg', and none installed; did you mean the task 'ddpg'?\n"
    )


def test_cp(lab: Lab) -> None:
    original = registry.find_recipe("ddpg_pendulum").read_bytes().partition(b"\n")[2]
    assert lab("cp", "ddpg_pendulum").out == "wrote ddpg_pendulum.yaml; run it with: lab run ddpg_pendulum.yaml\n"
    Path("ddpg_pendulum.yaml").write_text("mine")
    refused = lab("cp", "ddpg_pendulum", ".")
    assert refused.code == 2
    assert "ddpg_pendulum.yaml exists" in refused.err
    assert Path("ddpg_pendulum.yaml").read_text() == "mine"
    assert lab("cp", "ddpg_pendulum", "--force").code == 0
    assert Path("ddpg_pendulum.yaml").read_bytes() == b"# lab run ddpg_pendulum.yaml\n" + original
    assert lab("cp", "ddpg_pendulum", "other.yaml").code == 0
    assert Path("other.yaml").read_bytes() == b"# lab run other.yaml\n" + original
    assert lab("cp", "ddpg_pendulum", "nowhere/other.yaml").code == 2


def test_dry_run_prints_a_recipe_that_runs_the_same(lab: Lab, good: Path) -> None:
    printed = lab("run", str(good), "model.lr=2e-3", "--name", "7", "--dry-run")
    assert printed.code == 0
    Path("printed.yaml").write_text(printed.out)
    again = load("printed.yaml")
    assert again.model["lr"] == 2e-3
    assert again.track.name == "7"
    assert again.resolved() == load(good, ["model.lr=2e-3", "track.name='7'"]).resolved()
    assert json.loads(lab("run", str(good), "--dry-run", "--json").out) == load(good).resolved()
    assert not Path("mlflow.db").exists()


@pytest.mark.slow
def test_check(lab: Lab, good: Path) -> None:
    assert lab("check", str(good), "ddpg_pendulum").out == "ok good.yaml\nok ddpg_pendulum\n"
    outcome = lab("check", str(good), "--override", "model.lr=0", "--json")
    assert outcome.code == 2
    (verdict,) = json.loads(outcome.out)
    assert (verdict["recipe"], verdict["ok"]) == ("good.yaml", False)
    assert [problem["key"] for problem in verdict["problems"]] == ["model.lr"]


def test_plugins(lab: Lab) -> None:
    assert re.search(r"^ddpg +task +torch-lab +\S+ +ok$", lab("plugins").out, re.MULTILINE)
    found = json.loads(lab("plugins", "--json").out)
    assert {"ddpg": "ok"}.items() <= {plugin["name"]: plugin["state"] for plugin in found}.items()


def test_a_new_plugin(lab: Lab) -> None:
    outcome = lab("plugin", "new", "sine-waves", "--into", "mine")
    assert outcome.code == 0
    assert outcome.out.startswith("wrote mine/lab-sine-waves\n")
    assert "lab run sine_waves" in outcome.out
    assert Path("mine/lab-sine-waves/pyproject.toml").is_file()
    again = lab("plugin", "new", "sine-waves", "--into", "mine")
    assert (again.code, again.out) == (2, "")


def test_stages_are_said_on_standard_error_while_a_command_works(capsys: pytest.CaptureFixture[str]) -> None:
    with working.working("reading"):
        stages.stage("testing")
        stages.say("run 1")
    stages.say("nobody listens")
    assert capsys.readouterr() == ("", "testing\nrun 1\n")


@pytest.mark.parametrize(
    ("ranks", "text"),
    [
        ({"LOCAL_RANK": "1"}, ""),
        ({"RANK": "2", "LOCAL_RANK": "0"}, ""),
        ({"RANK": "0", "LOCAL_RANK": "0"}, "testing\n"),
    ],
)
def test_one_process_of_a_distributed_training_says_its_stages(
    ranks: dict[str, str], text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rank in ranks.items():
        monkeypatch.setenv(name, rank)
    with working.working("reading"):
        stages.stage("testing")
    assert capsys.readouterr().err == text


def test_a_stage_has_a_spinner_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(working, "time", SimpleNamespace(monotonic=lambda: clock.now))
    with working.working("reading"):
        stages.stage("short")
        clock.now = 0.4
        stages.stage("importing")
        clock.now = 66.4
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert text.endswith("importing: 1 min 6 s\n")
    assert "short:" not in text


def test_a_log_file_hears_of_a_long_stage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "SILENCE_SECONDS", 0.6)
    with working.working("reading"):
        stages.stage("testing")
        time.sleep(1.1)
        stages.say("  loss 3")
    assert capsys.readouterr().err.splitlines() == ["testing", "testing (1 s so far)", "  loss 3"]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_command_that_says_nothing_says_what_it_does(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "FIRST_SECONDS", 0.2)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with working.working("reading the runs"):
        time.sleep(0.5)
        stages.say("3 runs")
        time.sleep(0.3)
    heard = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "reading the runs" in heard.partition("3 runs")[0]
    with working.working("reading the runs"):
        stages.say("3 runs")
        time.sleep(0.5)
    assert capsys.readouterr().err == "3 runs\n"


def test_facts_are_broken_behind_slashes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    best = Path.cwd() / "mlruns/an experiment/7af3/artifacts/best.ckpt"
    there = {"best": best, "last": None, "page": "http://h/" * 5}
    tables.facts(there)
    assert capsys.readouterr().out.splitlines()[0] == "  best  mlruns/an experiment/7af3/artifacts/best.ckpt"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "44")
    tables.facts(there)
    assert capsys.readouterr().out.splitlines() == [
        "  best  mlruns/an",
        "        experiment/7af3/artifacts/best.ckpt",
        f"  page  {'http://h/' * 5}",
    ]
    monkeypatch.setenv("COLUMNS", "36")
    tables.facts({"best": best})
    assert capsys.readouterr().out.splitlines() == [
        "  best  mlruns/an experiment/7af3/",
        "        artifacts/best.ckpt",
    ]


def test_a_spinner_leaves_standard_output_as_it_was(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with working.working("reading"):
        stages.stage("recording")
    print("the result")
    assert capsys.readouterr().out == "the result\n"
