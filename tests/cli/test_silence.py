"""No command imports what takes seconds before its reader can learn what it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from lab import registry
from lab.cli import app
from lab.cli.group import DEFAULT

WORKING = [
    "check two_moons",
    "check pendulum_table",
    "check unet_clip",
    "claim unet_clip",
    "compare a",
    "data fetch mnist",
    "data ls",
    "data show two_moons",
    "doctor",
    "eval last",
    "play last --video x.mp4",
    "collect last",
    "sample last",
    "plugins",
    "resume last",
    "run two_moons",
    "run two_moons --dry-run",
    "run two_moons --folds 2",
    "run two_moons --seeds 2",
    "runs",
    "schema ddpg",
    "schema mine.yaml --write",
    "show ddpg",
    "show own.yaml",
    "studies",
    "sync",
    "tune apply x",
    "tune pendulum_table",
]
AT_ONCE = ["cp two_moons x.yaml", "ls", "plugin new waves", "show ddpg_pendulum"]  # these import nothing slow
ELSEWHERE = ["ui"]  # becomes another program, which speaks for itself

# ends a command at its first slow import, and prints whether somebody would be told by then
SCRIPT = """
import sys
from lab.cli import main
from lab.cli.terminal.working import StageHandler
from lab.stages import LOGGER


class Reached(BaseException):
    pass


class Guard:
    def find_spec(self, name, path=None, target=None):
        if name in {"torch", "lightning", "mlflow", "optuna", "pandas", "numpy", "matplotlib"}:
            raise Reached(any(isinstance(each, StageHandler) for each in LOGGER.handlers))


sys.meta_path.insert(0, Guard())
for command in sys.argv[1:]:
    try:
        main(command.split())
    except Reached as reached:
        print(f"{command}: {'working' if reached.args[0] else 'silent'}")
    except SystemExit as left:
        print(f"{command}: left with {left.code}")
"""


def names(command: object, words: tuple[str, ...] = ()) -> list[str]:
    """The words of every command that does something."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return [" ".join(word for word in words if word != DEFAULT)]
    return [name for word, each in inner.items() for name in names(each, (*words, word))]


def test_every_command_is_listed_here() -> None:
    for name in names(typer.main.get_command(app)):
        assert any(each == name or each.startswith(f"{name} ") for each in (*WORKING, *AT_ONCE, *ELSEWHERE)), name


@pytest.mark.slow
def test_no_command_is_silent_while_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Path("mine.yaml").write_bytes(registry.find_recipe("two_moons").read_bytes())
    Path("own.yaml").write_text("task: {module: 'own:Model', data: 'own:Data'}\n")
    Path("own.py").write_text("import lightning\n")
    Path("mlflow.db").touch()
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, *WORKING, *AT_ONCE], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [line for line in told if line.endswith(": silent")] == []
    assert [line.partition(":")[0] for line in told if line.endswith(": working")] == WORKING
