"""`lab run --folds`: one recipe on every part of its data but one."""

import json
from pathlib import Path

import pytest
import works
import yaml

from lab.cli import main
from lab.errors import BadInput
from lab.registry import find_recipe
from lab.study.folds import by_fold, cross_validate, spread
from lab.study.work.job import JobResult, train
from lab.tracking.server import client


def by_place(job, line):
    """A score that tells the folds apart."""
    fold = yaml.safe_load(job.recipe)["data"]["fold"]
    return JobResult("finished", {"best/val/accuracy": 0.1 * fold, "val/loss": 9.0}, f"run-{fold}")


def quietly(job, line):
    """Trains in this process, where the study's own progress would come back as the training's."""
    line.progressed = lambda _: None
    return train(job, line)


def lab(*words):
    with pytest.raises(SystemExit) as leaving:
        main(words)
    return leaving.value.code


@pytest.mark.slow
def test_every_part_validates_once(home, inline):
    launcher = inline(by_place)
    study = cross_validate(find_recipe("classify_digits"), ["seed=3"], 4)
    assert [job.seed for job in launcher.begun] == [3] * 4
    found = by_fold(study)
    assert {fold: result.run_id for fold, result in found.items()} == {i: f"run-{i}" for i in range(4)}
    assert spread(found) == {"best/val/accuracy": {"mean": pytest.approx(0.15), "std": pytest.approx(0.12909944)}}


def test_data_that_cannot_be_divided_is_refused(home, inline):
    inline(works.instant)
    with pytest.raises(BadInput, match=r"--folds: ReplayData has no parameters `folds` and `fold`.* --seeds"):
        cross_validate(Path("recipe.yaml"), [], 4)


@pytest.mark.slow
def test_the_command_validates_each_image_once(home, threaded, capsys):
    threaded(quietly)
    small = ("trainer.max_epochs=1", "data.max_images=120", "model.network=mlp", "track.system_metrics=false")
    assert lab("run", "classify_digits", "--folds", "2", *small, "--workers", "1", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [*said["results"]] == ["0", "1"]
    scores = [result["metrics"]["best/val/accuracy"] for result in said["results"].values()]
    assert said["summary"]["best/val/accuracy"]["mean"] == pytest.approx(sum(scores) / 2)
    server = client(f"sqlite:///{home}/mlflow.db")
    runs = [server.get_run(result["run_id"]).data.params for result in said["results"].values()]
    assert [(run["data.folds"], run["data.fold"]) for run in runs] == [("2", "0"), ("2", "1")]


@pytest.mark.parametrize("more", [["--seeds", "2"], ["--dry-run"], ["--offline"]])
def test_folds_do_not_go_with_everything(more, capsys):
    assert lab("run", "classify_digits", "--folds", "3", *more) == 2
    assert f"--folds cannot be combined with {more[0]}" in capsys.readouterr().err
