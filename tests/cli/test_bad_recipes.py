"""Everything a beginner gets wrong in a recipe: exit code 2, no traceback, one line per problem with file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lab = Callable[..., Any]

# what is changed in the good recipe, the line of the problem, and words that its message must hold
CHANGES: dict[str, tuple[str, str, int, list[str]]] = {
    "unknown task": ("ddpg", "ddpgg", 1, ["task", "'ddpgg'", "did you mean 'ddpg'"]),
    "misspelt section": ("model:", "modell:", 3, ["modell", "did you mean 'model'"]),
    "misspelt key": ("gamma", "gama", 3, ["model.gama", "did you mean 'gamma'"]),
    "wrong type": ("1e-3", "fast", 3, ["model.lr", "a number", "'fast'"]),
    "out of range": ("0.9", "1.9", 3, ["model.gamma", "from 0 to 1", "1.9"]),
    "out of range in a list": ("[8]", "[8, 0]", 3, ["model.hidden.1", "above 0"]),
    "a fact of the data": ("lr: 1e-3", "observation_size: 3", 3, ["model.observation_size", "cannot set"]),
    "required key missing": ("total_steps: 400, ", "", 4, ["data.total_steps", "missing"]),
    "two settings that exclude each other": ("400", "100", 4, ["data.learning_starts", "less than total_steps"]),
    "unknown environment": ("Pendulum-v1", "Pendulm-v1", 4, ["data.env", "did you mean 'Pendulum-v1'"]),
    "discrete environment": ("Pendulum-v1", "CartPole-v1", 4, ["data", "discrete", "dqn"]),
    "unknown Trainer key": ("devices", "device", 5, ["trainer.device", "did you mean 'trainer.devices'"]),
    "bad YAML": ("[8]", "[8", 3, ["not closed"]),
    "tab": ("data: {", "data:\n\t{", 5, ["tab"]),
    "duplicate key": ("model:", "seed: 1\nmodel:", 3, ["seed", "duplicate"]),
    "negative seed": ("seed: 0", "seed: -1", 2, ["seed", "-1"]),
    "unknown callback": (
        "trainer:",
        "callbacks: [{class_path: lightning.pytorch.callbacks.Stop}]\ntrainer:",
        5,
        ["'Stop'"],
    ),
}
# whole files that are no recipe, and where the problem is
FILES = {
    "empty": ("", "bad.yaml: "),
    "only a comment": ("# nothing\n", "bad.yaml: "),
    "a list": ("- ddpg\n", "bad.yaml:1: "),
    "one word": ("ddpg\n", "bad.yaml:1: "),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("command", ["run", "check"])
def test_one_line_says_what_is_wrong(change: str, command: str, lab: Lab, good: Path) -> None:
    old, new, line, words = CHANGES[change]
    assert old in good.read_text()
    Path("bad.yaml").write_text(good.read_text().replace(old, new, 1))
    outcome = lab(command, "bad.yaml")
    assert (outcome.code, outcome.out) == (2, "")
    problem, count = outcome.err.splitlines()
    assert problem.startswith(f"bad.yaml:{line}: ")
    assert all(word in problem for word in words), problem
    assert count == "1 problem in bad.yaml; nothing was started"


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_recipe(kind: str, lab: Lab) -> None:
    text, where = FILES[kind]
    Path("bad.yaml").write_text(text)
    outcome = lab("run", "bad.yaml")
    assert (outcome.code, outcome.out) == (2, "")
    problem, count = outcome.err.splitlines()
    assert problem.startswith(where)
    assert count == "1 problem in bad.yaml; nothing was started"


def test_a_file_that_is_not_there(lab: Lab) -> None:
    outcome = lab("run", "nowhere.yaml")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: no recipe file 'nowhere.yaml'")
    assert outcome.err.count("\n") == 1


def test_a_word_close_to_a_recipe(lab: Lab) -> None:
    assert "did you mean 'ddpg_pendulum'" in lab("run", "ddpg_pendulm").err


def test_several_problems_come_together(lab: Lab, good: Path) -> None:
    text = good.read_text()
    for old, new in {"gamma": "gama", "batch_size: 8": "batch_size: 0", "devices": "device"}.items():
        text = text.replace(old, new)
    Path("bad.yaml").write_text(text)
    outcome = lab("run", "bad.yaml", "model.lr=-1")
    *problems, count = outcome.err.splitlines()
    assert outcome.code == 2
    assert count == "4 problems in bad.yaml; nothing was started"
    places = {tuple(problem.split(": ")[:2]) for problem in problems}
    assert places == {
        ("bad.yaml:3", "model.gama"),
        ("bad.yaml:4", "data.batch_size"),
        ("bad.yaml:5", "trainer.device"),
        ("override model.lr=-1", "model.lr"),
    }


@pytest.mark.parametrize("override", ["model.lr", "=3", "model..lr=3", "model.lr=[1", "model.lr.x=3", "modl.lr=3"])
def test_a_bad_override_names_itself(override: str, lab: Lab, good: Path) -> None:
    outcome = lab("run", str(good), override)
    assert outcome.code == 2
    assert outcome.err.startswith(f"override {override}: ")
    assert outcome.err.endswith("1 problem in the overrides; nothing was started\n")


def test_what_a_user_writes_is_never_markup(lab: Lab, good: Path) -> None:
    assert "found '[red]x[/]'" in lab("run", str(good), "model.lr='[red]x[/]'").err


@pytest.mark.slow
def test_check_goes_on_after_a_bad_recipe(lab: Lab, good: Path) -> None:
    Path("bad.yaml").write_text(good.read_text().replace("gamma", "gama"))
    outcome = lab("check", "bad.yaml", str(good), "nowhere")
    assert (outcome.code, outcome.out) == (2, "ok good.yaml\n")
    assert "bad.yaml:3: model.gama: " in outcome.err
    assert "nowhere: no recipe, study or claim file" in outcome.err
    Path("folder.yaml").mkdir()
    outcome = lab("check", "x\ny", "model.lr=1", "folder.yaml")
    assert outcome.err.splitlines()[1] == "1 problem in x y; nothing was started"
    assert "model.lr=1: a setting, which stands behind -o here: -o model.lr=1" in outcome.err
    assert len(lab("run", str(good), "--dry-run", f"seed={'x' * 9000}").err) < 20_000
    assert "folder.yaml: 'folder.yaml' is a folder, not a recipe or study or claim file" in outcome.err
