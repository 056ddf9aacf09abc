"""Studies as `lab.tune`, `lab.run(seeds=...)`, `lab.run(folds=...)` and `lab.claim` return them."""

from __future__ import annotations

import doctest

import pandas as pd
import pytest
import works
import yaml

import lab
from lab.api import JudgedClaim, RepeatedRuns, TunedStudy, studies
from lab.errors import BadInput, LabError
from lab.study.work.job import JobResult

GRID = "recipe: recipe.yaml\nsampler: grid\nseeds: [0, 1]\nspace: {model.lr: [0.001, 0.01, 0.1]}\n"


def failing(job, reporter):
    return JobResult("failed", reason="no space left")


@pytest.fixture
def study(home, inline):
    inline(works.instant)
    (home / "rates.yaml").write_text(GRID + "set: {model.gamma: 0.9}\n")
    return lab.tune("rates.yaml", workers=1)


@pytest.mark.slow
def test_the_best_trial_in_the_words_of_optuna(study):
    assert isinstance(study, TunedStudy)
    assert study.best_params == {"model.lr": 0.01}
    assert study.best_value == pytest.approx(-0.005)
    assert study.study.best_value == study.best_value
    assert repr(study) == "TunedStudy('rates', 3 of 3 trials complete)"
    recipe = yaml.safe_load(study.apply())
    assert (recipe["model"]["lr"], recipe["model"]["gamma"]) == (0.01, 0.9)
    assert yaml.safe_load(study.apply(trial=0))["model"]["lr"] == 0.001


def run_example(name):
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(studies, name), name, module=studies)
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.slow
def test_the_example_of_tuning(study):
    run_example("tune")


def test_the_table_of_a_study(study):
    table = study.to_frame()
    assert list(table["model.lr"]) == [0.01, 0.001, 0.1]
    assert list(table["best/val/return"]) == pytest.approx([-0.005, -1.005, -1.005])
    page = study._repr_html_()
    for text in ("rates", "model.lr", "0.01", "2/2", "95 % percentile bootstrap intervals"):
        assert text in page


@pytest.mark.slow
def test_the_same_call_again_trains_nothing(study, inline):
    launcher = inline(works.instant)
    assert lab.tune("rates.yaml", {"set": {"model.gamma": 0.9}}).best_params == study.best_params
    assert launcher.begun == []
    with pytest.raises(BadInput, match="was started with another definition"):
        lab.tune("rates.yaml", {"set": {"model.gamma": 0.8}})


def test_several_metrics_have_no_best_value(home, inline):
    def both(job, line):
        found = works.instant(job, line)
        return JobResult("finished", {**found.metrics, "seconds": float(job.trial)}, found.run_id)

    inline(both)
    (home / "two.yaml").write_text(
        "recipe: recipe.yaml\nsampler: grid\nspace: {model.lr: [0.001, 0.01]}\n"
        "metric: [test/return, seconds]\nmode: [max, min]\n"
    )
    study = lab.tune("two.yaml")
    with pytest.raises(BadInput, match=r"several metrics \(test/return, seconds\); .study.best_trials"):
        _ = study.best_params
    assert len(study.study.best_trials) == 2


def test_a_study_of_failures_is_an_error(home, inline):
    inline(failing)
    (home / "rates.yaml").write_text(GRID)
    with pytest.raises(LabError, match=r"all 3 trials failed; the first: .*no space left"):
        lab.tune("rates.yaml")


def test_seeds(home, inline):
    inline(works.instant)
    found = lab.run("recipe.yaml", {"model.lr": 0.1}, seeds=3, workers=1)
    assert isinstance(found, RepeatedRuns)
    table = found.to_frame()
    assert (table.index.name, list(table.index)) == ("seed", [0, 1, 2])
    assert list(table["test/return"]) == pytest.approx([-1.0, -1.01, -1.02])
    assert found.summary.loc["test/return", "iqm"] == pytest.approx(-1.01)
    assert found.summary.loc["test/return", "low"] <= -1.01 <= found.summary.loc["test/return", "high"]
    assert found.study.study_name == found.name
    page = found._repr_html_()
    for text in ("test/return", "iqm", "95 % bootstrap interval", "run-0-1"):
        assert text in page


def test_a_seed_that_fails_is_said_and_shown(home, inline, capsys):
    def second_fails(job, line):
        return JobResult("failed", reason="no space left") if job.seed == 1 else works.instant(job, line)

    inline(second_fails)
    found = lab.run("recipe.yaml", seeds=2)
    message = "not every seed has a score; missing: 1; the first failed with: "
    assert message in capsys.readouterr().err
    assert message in found._repr_html_()
    assert list(found.to_frame().index) == [0]


def test_seeds_that_all_fail_are_an_error(home, inline):
    inline(failing)
    with pytest.raises(LabError, match="not every seed has a score; missing: 0, 1"):
        lab.run("recipe.yaml", seeds=2)


@pytest.mark.slow
def test_a_claim(home, inline):
    inline(works.instant)
    (home / "claim.yaml").write_text(
        "claim: a rate of 0.01 beats one of 0.1\nrecipe: recipe.yaml\nseeds: [0, 1, 2]\n"
        "better: {name: small, set: {model.lr: 0.01}}\nworse: {name: large, set: {model.lr: 0.1}}\n"
    )
    found = lab.claim("claim.yaml")
    assert isinstance(found, JudgedClaim)
    assert (found.verdict, found.probability) == ("upheld", 1.0)
    table = found.to_frame()
    assert isinstance(table, pd.DataFrame)
    assert list(table.index) == ["small", "large"]
    assert table.loc["small", "mean"] == pytest.approx(-0.01)
    page = found._repr_html_()
    assert "upheld: a rate of 0.01 beats one of 0.1" in page
    assert "a run of small is better than one of large: 1.00" in page
    run_example("claim")


def test_mistakes_name_the_nearest_word(home):
    (home / "rates.yaml").write_text(GRID)
    with pytest.raises(BadInput, match="no study file"):
        lab.tune("rate.yaml")
    with pytest.raises(BadInput, match="no claim file"):
        lab.claim("nothing.yaml")
    with pytest.raises(BadInput, match="did you mean 'trials'"):
        lab.tune("rates.yaml", {"trails": 80})
