"""A study read back from its storage: the best trial as a recipe, the list of studies, and the commands for both."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
import works
import yaml

from lab.cli import main
from lab.cli.tune import _next
from lab.errors import BadInput, LabError
from lab.recipe import load
from lab.study.plan.plan import make_plan
from lab.study.plan.schema import load_study
from lab.study.report import apply
from lab.study.study import tune
from lab.study.work import record
from lab.study.work.parent_run import trial_recipe

SPACE = (
    "space: {model.lr: {float: [0.0001, 1], log: true}, model.hidden: [[8], [16, 16]], trainer.precision: [32-true, "
    "bf16-mixed], data.episode_steps: [null, 50], model.noise: {gaussian: {model.sigma: {float: [0.1, 0.2]}}, "
    "ornstein_uhlenbeck: {}}}"
)
SEARCH = ("sampler: tpe", "trials: 6", "seeds: [0, 1]", SPACE, "set: {data.total_steps: 500}")


def plain(recipe):
    """What a recipe says, but for what a study chooses for its trainings."""
    return {key: value for key, value in recipe.resolved().items() if key not in ("seed", "threads")}


@pytest.fixture
def lab(home, capsys):
    """The command line in the study's folder."""

    def call(*arguments):
        capsys.readouterr()
        with patch.dict(os.environ), pytest.raises(SystemExit) as leaving:
            main(arguments)
        return leaving.value.code, *capsys.readouterr()

    return call


@pytest.mark.slow
def test_a_recipe_of_a_trial_says_what_was_trained(planned, tuned):
    plan = planned(*SEARCH)
    study, _ = tuned(plan, works.instant)
    found = record.find("study")
    for trial in study.trials:
        file = Path("trial.yaml")
        file.write_text(apply.recipe(found, trial.number))
        recipe = load(file)
        assert recipe.problems == ()
        assert plain(recipe) == plain(trial_recipe(plan, trial.settings, 0))


@pytest.mark.slow
def test_the_best_trial_is_the_default(planned, tuned):
    study, _ = tuned(planned(*SEARCH), works.instant)
    text = apply.recipe(record.find("study"))
    best = max(study.trials, key=lambda trial: trial.values[0])
    said = yaml.safe_load(text)
    assert said["model"]["lr"] == best.settings["model.lr"]
    assert said["model"]["hidden"] == best.settings["model.hidden"]
    assert said["data"]["total_steps"] == 500
    assert list(said) == ["task", "model", "data", "trainer", "track"], "what the file says, and nothing else"
    lines = text.splitlines()
    assert lines[0] == "# lab run best.yaml"
    assert f"Trial {best.number} of study study: best/val/return {best.values[0]:.4g} [" in lines[1]
    assert "seeds 0, 1" in lines[1]


def test_a_table_is_read_without_its_file(planned, tuned):
    study, _ = tuned(
        planned("sampler: one_at_a_time", "space: {model.lr: [0.1, 0.01], model.gamma: [0.9]}"), works.instant
    )
    Path("study.yaml").unlink()
    Path("recipe.yaml").unlink()
    found = record.find("study")
    assert found.rows == study.plan.rows
    assert [trial.settings for trial in found.trials] == [trial.settings for trial in study.trials]
    assert [trial.settings["model.lr"] for trial in found.trials] == [0.1, 0.01, 0.001]


def test_keys_that_are_numbers_stay_numbers(planned, tuned):
    space = "space: {data.batch_size: {8: {}, 16: {model.lr: [0.1, 0.01]}}}"
    study, _ = tuned(planned("sampler: grid", space), works.instant)
    found = record.find("study")
    assert [trial.settings["data.batch_size"] for trial in found.trials] == [8, 16, 16]
    assert [trial.settings for trial in found.trials] == [trial.settings for trial in study.trials]


def test_no_secret_and_no_seed_in_the_recipe(home, planned, tuned):
    address = f"sqlite:///{home}/mlflow.db?password=hush"
    Path("recipe.yaml").write_text(
        Path("recipe.yaml").read_text().replace("track: {", f"seed: 3\ntrack: {{uri: '{address}', ")
    )
    tuned(planned("sampler: none"), works.instant)
    (journal,) = home.rglob("study.journal")
    assert "hush" not in journal.read_text()
    said = yaml.safe_load(apply.recipe(record.find("study")))
    assert "seed" not in said
    assert said["track"] == {"experiment": "studies", "system_metrics": False}


def test_without_a_complete_trial_there_is_no_recipe(planned, tuned):
    study, _ = tuned(
        planned("sampler: grid", "space: {model.lr: [1.0]}", "seeds: [0, 1]", "metric: test/return"), works.failing
    )
    with pytest.raises(LabError, match="no complete trial yet"):
        apply.recipe(study.record)
    with pytest.raises(BadInput, match="no complete trial 0; complete are none"):
        apply.recipe(study.record, 0)


def test_a_name_that_is_nearly_right(planned, tuned, lab):
    tuned(planned("sampler: none"), works.instant)
    code, out, err = lab("tune", "apply", "stduy")
    assert (code, out) == (2, "")
    assert err.endswith("mlruns/studies; did you mean 'study'?\n")


@pytest.mark.slow
def test_apply_prints_a_recipe_that_lab_accepts(planned, tuned, lab):
    tuned(planned(*SEARCH), works.instant)
    code, out, err = lab("tune", "apply", "study", "--trial", "3")
    assert (code, err) == (0, "")
    Path("best.yaml").write_text(out)
    assert lab("check", "best.yaml")[0] == 0


@pytest.mark.slow
def test_studies_are_listed(planned, tuned, lab):
    study, _ = tuned(planned(*SEARCH), works.instant)
    tuned(planned("sampler: grid", "space: {model.lr: [0.01, 1.0]}", "seeds: [0, 1]", name="other"), works.failing)
    code, out, err = lab("studies", "--json")
    assert (code, err) == (0, "")
    other, first = json.loads(out)
    assert (first["name"], first["state"], first["done"], first["total"]) == ("study", "finished", 6, 6)
    assert first["best"] == max(trial.values[0] for trial in study.trials)
    assert (other["trials"]["complete"], other["trials"]["failed"]) == (1, 1)
    lines = lab("studies")[1].splitlines()
    assert lines[0].split() == ["STUDY", "STATE", "DONE", "COMPLETE", "PRUNED", "FAILED", "METRIC", "BEST", "UPDATED"]
    assert lines[2].split()[:4] == ["study", "finished", "6/6", "6"]


def test_a_damaged_study_harms_no_other(planned, tuned, lab):
    tuned(planned("sampler: none"), works.instant)
    Path("mlruns/studies/broken.journal").write_text('{"this is": "no journal"}\n')
    Path("mlruns/studies/empty.journal").write_text("")
    code, out, err = lab("studies")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["STUDY", "study"]
    assert len(err.splitlines()) == 2
    assert "broken" in err


def test_no_studies(lab):
    code, out, _ = lab("studies", "--json")
    assert (code, json.loads(out)) == (0, [])


def test_the_word_after_tune_is_a_study_or_a_command(lab):
    assert "apply" in lab("tune", "--help")[1]
    assert "--workers" in lab("tune", "--help")[1]
    assert "error: lab tune has no option --hlep; did you mean '--help'?" in lab("tune", "--hlep")[2]
    assert "no study file 'nothing'" in lab("tune", "--workers", "2", "nothing")[2]
    Path("apply").write_text("recipe: nowhere.yaml\n")
    assert "no such study" not in lab("tune", "./apply")[2]
    assert "nowhere.yaml" in lab("tune", "./apply")[2]


def test_what_to_do_next_tells_no_password(planned, tuned):
    study, _ = tuned(planned("sampler: none"), works.instant)
    secret = "postgresql://me:hush@host/studies"
    steps = _next(study.record, secret, "http://me:hush@host:5000")
    assert steps == [
        "lab tune apply study --storage postgresql://host/studies --uri http://host:5000 > best.yaml",
        "lab compare study --uri http://host:5000",
        "lab ui --uri http://host:5000",
        "optuna-dashboard postgresql://host/studies",
    ]
    assert _next(study.record, None, study.uri) == [
        "lab tune apply study > best.yaml",
        "lab compare study",
        "lab ui",
        "optuna-dashboard mlruns/studies/study.journal",
    ]


@pytest.mark.slow
def test_listing_studies_imports_no_torch(planned, tuned):
    tuned(planned("sampler: none"), works.instant)
    command = [sys.executable, "-X", "importtime", "-m", "lab", "studies"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert listed.stdout.splitlines()[1].startswith("study")
    imported = set(re.findall(r"\| +(\w+)$", listed.stderr, re.MULTILINE))
    assert "optuna" in imported
    assert not imported & {"torch", "lightning", "mlflow", "matplotlib"}


@pytest.mark.slow
def test_a_study_from_its_file_to_mlflow(planned):
    from mlflow import MlflowClient

    space = "space: {model.lr: {float: [0.0001, 1], log: true}, model.gamma: {float: [0.9, 0.99]}}"
    path = planned("sampler: tpe", "trials: 4", "seeds: [0, 1]", space).file.path
    path.write_text(f"# lab tune study.yaml\n# How fast it should learn\n{path.read_text()}")
    study = tune(make_plan(load_study(path)), workers=1, work="works:instant")
    client = MlflowClient(study.uri)
    run = client.get_run(study.run_id)
    names = {file.path for folder in (None, "plots") for file in client.list_artifacts(study.run_id, folder)}
    assert {"table.csv", "table.md", "study.json", "plots/table.png", "plots/importance.png"} <= names
    assert run.data.metrics["trials/complete"] == 4
    assert run.data.metrics["best/val/return"] == max(trial.values[0] for trial in study.trials)
    assert record.find("study").run_id == study.run_id
    about = run.data.tags["mlflow.note.content"].split("\n\n")
    assert about == [
        f"**Best trial: best/val/return {run.data.metrics['best/val/return']:.4g}**",
        "How fast it should learn",
        f"![plots/history.png](get-artifact?path=plots%2Fhistory.png&run_uuid={study.run_id})",
    ]
    assert run.data.tags["mlflow.user"]
