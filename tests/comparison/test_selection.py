"""What a word of `lab compare` means."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient

from lab.comparison import runs_of, select
from lab.errors import BadInput


@pytest.fixture(scope="module")
def server(recorded_runs):
    return MlflowClient(recorded_runs)


def names(server, word):
    (runs,) = runs_of([word], server).values()
    return sorted(run.info.run_name for run in runs)


@pytest.mark.slow
def test_each_kind_of_word(server):
    assert names(server, "slow") == ["halted"] + 5 * ["slow"]  # its runs of that name are among them
    assert names(server, "halted") == ["halted"]
    assert names(server, "pendulum") == 5 * ["fast"] + ["halted"] + 5 * ["slow"]
    assert names(server, "rates") == [f"rates-{trial}" for trial in range(3) for _ in range(3)]
    assert (
        names(server, "base") == names(server, "rates of ddpg") == names(server, "run:rates") == names(server, "rates")
    )
    assert names(server, "run:slow") == 5 * ["slow"]
    assert names(server, "last") == ["lonely"]


@pytest.mark.slow
def test_an_id_or_its_start(server):
    (run,) = runs_of(["lonely"], server)["lonely"]
    whole = run.info.run_id
    assert names(server, whole) == names(server, whole[:12]) == ["lonely"]
    ids = [run.info.run_id for runs in runs_of(["pendulum", "rates", "lonely"], server).values() for run in runs]
    digit = next(start for start in "0123456789abcdef" if sum(each.startswith(start) for each in ids) > 1)
    with pytest.raises(BadInput, match=f"^'{digit}' is the start of .* run ids .*; give more digits"):
        runs_of([digit], server)


def test_a_word_with_two_meanings(server):
    with pytest.raises(BadInput, match=r"^'fast' is a recipe and an experiment; use recipe:fast or experiment:fast$"):
        runs_of(["fast"], server)
    assert names(server, "recipe:fast") == 5 * ["fast"]
    assert names(server, "experiment:fast") == ["lonely"]
    assert list(runs_of(["recipe:fast", "slow"], server)) == ["fast", "slow"]
    assert list(runs_of(["recipe:fast", "experiment:fast"], server)) == ["recipe:fast", "experiment:fast"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["slwo"], "^no study, recipe, experiment or run 'slwo'; did you mean 'slow'\\?; lab runs lists them$"),
        (["ddpg_pendulum"], "^recipe 'ddpg_pendulum' has no runs yet; start one: lab run ddpg_pendulum$"),
        (
            ["slow", "study:pendulum_search"],
            "^study 'pendulum_search' has no runs yet; start one: lab tune pendulum_search$",
        ),
        (["study:slow"], "^no study 'slow'; there are rates; lab runs"),
        (["run:pendulum"], "^no run 'pendulum'; there are .*; lab runs"),
        (["empty"], "^experiment 'empty' has no runs yet$"),
        (["slow", "slow"], "^'slow' is named twice$"),
        (["slow", "pendulum"], "^run [0-9a-f]{8} is in both 'slow' and 'pendulum'"),
        ([""], "^no study, recipe, experiment or run ''"),
        (["a'b"], "no study"),
        (['a"b'], "no study"),
        (["%"], "no study"),
        (["x' OR tags.seed = '0"], "no study"),
        (["recipe:"], "no study"),
    ],
)
def test_a_word_without_a_meaning(server, words, message):
    with pytest.raises(BadInput, match=message):
        runs_of(words, server)


def test_many_runs_come_in_pages(server, monkeypatch):
    monkeypatch.setattr("lab.comparison.selection.PAGE", 2)
    assert len(names(server, "pendulum")) == 11


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(BadInput, match=r"no runs in .*nowhere\.db yet; start one: lab run"):
        select(["slow"], uri=f"sqlite:///{tmp_path}/nowhere.db")
    assert not list(tmp_path.iterdir())
