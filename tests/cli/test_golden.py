"""What each command prints at 80 and at 60 columns, compared with golden files; see golden_files.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden_files
import pytest
import typer

from lab import registry
from lab.cli import app
from lab.cli.doctor import Finding
from lab.cli.group import DEFAULT
from lab.runner.results import RunResult
from lab.stages import say, stage
from lab.tracking.sync import Report

Lab = Callable[..., Any]


@pytest.fixture
def golden(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Calls a command at both widths and compares: `golden("runs --uri RUNS", runs=address)`."""

    def call(command: str, again: Callable[[], Any] = lambda: None, file_text: bool = False, **places: str) -> None:
        def show(width: int) -> Any:
            golden_files.terminal(monkeypatch, width)
            again()
            words = command
            for name, place in places.items():
                words = words.replace(name.upper(), place)
            return lab(*words.split())

        golden_files.check(command, show, file_text, **places, folder=tmp_path)

    return call


def helps(command: Any, words: tuple[str, ...] = ()) -> list[str]:
    """The words of every command, and of every group, behind which `--help` may stand."""
    found = [" ".join(words)]
    for name, each in getattr(command, "commands", {}).items():
        if name != DEFAULT:
            found += helps(each, (*words, name))
    return found


@pytest.mark.parametrize("command", helps(typer.main.get_command(app)))
def test_help(golden: Callable[..., None], command: str) -> None:
    golden(f"{command} --help".strip())


@pytest.mark.slow
def test_help_cuts_no_word(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in helps(typer.main.get_command(app)):
        golden_files.terminal(monkeypatch, 400)
        wide = lab(*command.split(), "--help").out
        for width in golden_files.WIDTHS:
            golden_files.terminal(monkeypatch, width)
            narrow = lab(*command.split(), "--help").out
            assert not golden_files.cut_words(narrow, wide), (command, width)


@pytest.mark.parametrize(
    "command",
    [
        "ls ddpg",
        "ls ddpg --long",
        "ls ddgp",
        "show two_moons",
        "data show two_moons",
        "data show pendulum_replay",
        "data show pendulm_replay",
        "data fetch two_moons",
        "run two_moons --folds 1",
        "run ddpg",
        "train x",
    ],
)
def test_recipes_and_data(golden: Callable[..., None], command: str) -> None:
    golden(command, root=str(Path(registry.__file__).parents[1]))


def test_lists(golden: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of some recipes, tasks and data sets that are there to stay."""
    recipes, tasks, records = registry.recipes(), registry.plugins(load=False), registry.dataset_records()
    chosen = {
        "recipe": {name: recipes[name] for name in ("autoencode_digits_anomaly", "ddpg_pendulum", "two_moons")},
        "study": {name: file for name, file in registry.recipes("study").items() if name == "pendulum_search"},
        "claim": {name: file for name, file in registry.recipes("claim").items() if name == "transformer_lstm_copying"},
    }
    monkeypatch.setattr(registry, "recipes", lambda shelf: chosen[shelf])
    names = ("autoencode", "ddpg", "two_moons")
    monkeypatch.setattr(registry, "plugins", lambda **_: [each for each in tasks if each.name in names])
    golden("ls")
    sets = ("two_moons", "mnist", "reviews", "corpus", "pendulum_random")
    few = [(plugin, [each for each in found if each.name in sets]) for plugin, found in records]
    monkeypatch.setattr("lab.data.catalogue.dataset_records", lambda: few)
    golden("data ls")


@pytest.mark.slow
def test_schemas(golden: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"task": {"const": "two_moons"}, "seed": {"type": "integer", "minimum": 0, "default": 0}}
    monkeypatch.setattr("lab.recipe.json_schema.recipe_schema", lambda *_: {"type": "object", "properties": keys})
    golden("schema", file_text=True)
    golden("schema ddgp")
    golden("cp two_moons mine.yaml", again=lambda: Path("mine.yaml").unlink(missing_ok=True))
    golden("schema mine.yaml --write")
    golden("check mine.yaml")


def test_no_word_is_cut() -> None:
    """What is shown at 60 columns is made of words that are shown at 80 columns."""
    differ = ("no_score", "pendulum_replay")  # the second call says something else; a column is hidden at one width
    for file in golden_files.FOLDER.rglob("*.txt"):
        _, wide, narrow = re.split(r"(?m)^== \d+ columns.*\n", file.read_text(encoding="utf-8"))
        narrow = re.sub(r"columns hidden at this width: .*|-- standard error", "", narrow)
        assert any(word in file.name for word in differ) or not golden_files.cut_words(narrow, wide), file.name


@pytest.mark.parametrize(
    "command", ["runs --experiment fast --uri RUNS", "compare slow recipe:fast --uri RUNS", "compare rates --uri RUNS"]
)
def test_results(golden: Callable[..., None], recorded_runs: str, command: str) -> None:
    golden(command, runs=recorded_runs)


def test_a_plot_and_the_browser(
    golden: Callable[..., None], recorded_runs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.comparison.draw", lambda *_: None)
    golden("compare slow recipe:fast --plot speed.png --uri RUNS", runs=recorded_runs)
    monkeypatch.setattr("os.execv", lambda *_: None)
    monkeypatch.setattr("lab.cli.tracking._free", lambda _, port: port != 5000)
    golden("ui --port 5001 --uri RUNS", runs=recorded_runs)
    golden("ui --uri RUNS", runs=recorded_runs)


def test_runs_that_are_sent_and_data_that_are_fetched(
    golden: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [digit * 16 for digit in ("1a", "2b", "3c")]
    server = "http://tracking.example:5000"
    reports = [
        Report(runs[0], "ddpg_pendulum", server, 214, 0),
        Report(runs[1], "two_moons", server, 0, 96, f"{server} does not answer", failed=True),
        Report(runs[2], "classify_digits", server, 0, 0, "still training"),
    ]
    monkeypatch.setattr("lab.tracking.sync.sync", lambda *_: iter(reports))
    golden("sync last")
    monkeypatch.delenv("LAB_DATA", raising=False)
    monkeypatch.setattr("lab.data.DatasetInfo.prepare", lambda _: None)
    golden("data fetch mnist")


@pytest.mark.parametrize("command", ["runs", "studies", "sync", "compare x", "eval 7af3", "ui --uri http://host:5000"])
def test_a_folder_without_runs(golden: Callable[..., None], command: str) -> None:
    golden(command)


def test_mistakes_in_a_recipe(golden: Callable[..., None], good: Path) -> None:
    golden(f"check {good} -o model.lrr=1 -o lr=1 -o data.env=Pendulm-v1")
    golden(f"check {good} --no-import")
    golden(f"run {good} --lr 0.1")


@pytest.mark.slow
def test_the_text_of_files(golden: Callable[..., None], good: Path) -> None:
    golden(f"show {good}", file_text=True)
    golden(f"run {good} --dry-run", file_text=True)
    Path("study.yaml").write_text(
        f"recipe: {good}\nsampler: grid\nspace: {{model.lrr: [0.1], model.gamma: [0.9, 2]}}\n"
    )
    golden("show study.yaml", file_text=True)
    golden("check study.yaml")


def test_copies(golden: Callable[..., None]) -> None:
    golden("cp ddpg_pendulum", again=lambda: Path("ddpg_pendulum.yaml").unlink(missing_ok=True))


def test_a_new_plugin(golden: Callable[..., None]) -> None:
    import shutil

    golden("plugin new sine-waves", again=lambda: shutil.rmtree("lab-sine-waves", ignore_errors=True))


def test_the_installation(golden: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    of = ("my_moons:TASK", "my-moons", "0.1.0")
    found = [
        registry.Plugin("task", "moons", *of),
        registry.Plugin(
            "task", "waves", "waves.task:TASK", "waves", "2.0", "broken", "ImportError: No module named 'waves'"
        ),
    ]
    monkeypatch.setattr(registry, "plugins", lambda **_: found)
    golden("plugins")
    findings = [
        Finding("python", "ok", "3.11.9"),
        Finding("lightning", "failed", "2.6.2: a compromised release", "pip install 'lightning>=2.6.6,<2.7'"),
        Finding("tracking", "ok", "sqlite:///mlflow.db: created by the first run"),
    ]
    monkeypatch.setattr("lab.cli.doctor.examine", lambda: findings)
    golden("doctor")


def result(**changes: Any) -> RunResult:
    """A finished run."""
    run = "7af31c4e5b2d4f6a8c9e0d1b2a3f4c5d"
    folder = Path.cwd() / "mlruns" / "ddpg" / run / "artifacts" / "checkpoints"
    tested = {"test/return": -151.234, "test/return_std": 88.1, "test/optimality_gap": 10.5}
    about: dict[str, Any] = {
        "run_id": run,
        "name": "ddpg_pendulum",
        "task": "ddpg",
        "status": "FINISHED",
        "monitor": "test/return",
        "score": -151.234,
        "metrics": tested,
        "tested": tested,
        "best": folder / "best.ckpt",
        "last": folder / "last.ckpt",
        "uri": "sqlite:///mlflow.db",
        "seconds": 12.3,
    }
    return RunResult(**(about | changes))


def test_runs_as_they_end(golden: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*_: Any) -> RunResult:
        stage("preparing the data")
        say("training DDPG: 6,000 env steps")
        say("  3,000/6,000 env steps  val/return -312.4  val/length 200  6 s")
        say("trained in 12 s")
        stage("testing the best checkpoint")
        return result()

    monkeypatch.setattr("lab.runner.fit.fit", fit)
    golden("run ddpg_pendulum")
    golden("run ddpg_pendulum --offline")
    monkeypatch.setattr("lab.runner.resume.resume", lambda *_, **__: result(monitor="best/val/return", tested={}))
    golden("resume last")
    monkeypatch.setattr("lab.runner.evaluate.evaluate", lambda *_, **__: result().tested)
    golden("eval last")
    monkeypatch.setattr("lab.runner.evaluate.play", lambda *_, **__: (Path("agent.mp4"), -151.234))
    golden("play last --video agent.mp4")
    numbers = {"episodes": 100, "steps": 20_000, "return mean": -151.234, "return std": 88.1}
    monkeypatch.setattr("lab.runner.evaluate.collect", lambda *_: ("pendulum-replay/ddpg-expert-of-seed-0-v0", numbers))
    golden("collect last")
    words = "There was a fox who lived near a river, and every morning it looked for fish among the stones. " * 2
    monkeypatch.setattr("lab.runner.evaluate.sample", lambda *_: words)
    golden("sample last --prompt There", file_text=True)
