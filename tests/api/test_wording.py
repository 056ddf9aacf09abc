"""Errors of functions are in the words of Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import lab
from lab.api.wording import in_python
from lab.errors import BadInput, Problem, RecipeError
from lab.runner import evaluate


@pytest.mark.parametrize(
    ("typed", "called"),
    [
        ("no run 'x'; lab runs lists them", "no run 'x'; lab.runs() lists them"),
        ("give --mode max or --mode min", 'give mode="max" or mode="min"'),
        ("name one with --metric: a, b", "name one with `metric`: a, b"),
        ("--curve x: no run has it", 'curve="x": no run has it'),
        ("--folds: none; use --seeds to repeat it", "`folds`: none; use `seeds` to repeat it"),
        ("track here for now: lab run ... --offline", "track here for now: lab.run(..., offline=True)"),
        ("if it has moved: lab resume 7af3 data.path=...", 'if it has moved: lab.resume("7af3", "data.path=...")'),
        ("x is a study, not a recipe: lab tune x", 'x is a study, not a recipe: lab.tune("x")'),
        ("--storage postgresql://x: expected a database", 'storage="postgresql://x": expected a database'),
        ("start one with --name rates-2", 'start one with name="rates-2"'),
        ("`lab ls` lists them; lab data fetch mnist", "`lab ls` lists them; lab data fetch mnist"),
        ("mlflow migrate-filestore --source .", "mlflow migrate-filestore --source ."),
    ],
)
def test_options_and_commands_become_arguments_and_calls(typed: str, called: str) -> None:
    assert in_python(typed) == called


def test_every_function_says_it_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    begin = 'start one: lab.run("ddpg_pendulum")'
    for call in (lambda: lab.load("x"), lambda: lab.compare("x"), lambda: lab.runs("x")):
        with pytest.raises(BadInput) as raised:
            call()
        assert begin in str(raised.value)
    with pytest.raises(BadInput, match=r'not a recipe: lab\.tune\("pendulum_table"\)'):
        lab.run("pendulum_table", seeds=2)
    with pytest.raises(BadInput, match=r'not a study: lab\.run\("ddpg_pendulum"\)'):
        lab.tune("ddpg_pendulum")
    with pytest.raises(BadInput, match=r'not a claim: lab\.run\("ddpg_pendulum"\)'):
        lab.claim("ddpg_pendulum")


def test_episodes_of_data_that_plays_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RecipeError([Problem("override", "data.test_episodes", "unknown key")])

    monkeypatch.setattr(evaluate, "_restore", refuse)
    with pytest.raises(BadInput, match="has no test_episodes, as agents have; leave it out"):
        evaluate.evaluate("last", 3, "best")
    with pytest.raises(RecipeError, match="unknown key"):
        evaluate.evaluate("last", None, "best", ["data.test_episodes=3"])
