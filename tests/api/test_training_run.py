"""Results: one training by the example of `lab.run`, and everything that can be read of it."""

import doctest
import importlib
import re
import shutil
import threading
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from test_session import state

import lab
from lab.api import TrainingRun
from lab.api.history import frame
from lab.errors import BadInput
from lab.rl.ddpg import DDPG

pytestmark = pytest.mark.slow
HOMES = {"load": "records", "runs": "records", "compare": "comparing"}


def run_example(name):
    module = importlib.import_module(f"lab.api.{HOMES.get(name, 'training')}")
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(module, name), name, module=module)
    assert doctest.DocTestRunner().run(example, clear_globs=False).failed == 0
    return example.globs


@pytest.fixture(scope="module")
def trained(tmp_path_factory, empty_database):
    """The result of the example, in a folder that has nothing else."""
    home = tmp_path_factory.mktemp("results")
    shutil.copy(empty_database, home / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        before = state()
        found = run_example("run")["result"]
        assert state() == before
        yield found


@pytest.fixture
def result(trained):
    return trained


def test_the_result_knows_its_score(result):
    assert isinstance(result, TrainingRun)
    assert result.score == result.metrics["test/return"] == result.tested["test/return"]
    assert repr(result).startswith("TrainingRun('ddpg_pendulum', test/return=-")


def test_a_run_that_is_loaded_is_the_result_that_was_returned(result):
    for word in (result.run_id, result.run_id[:8], "last", "ddpg_pendulum", result):
        assert lab.load(word) == result
    with pytest.raises(BadInput, match="no run 'ddpg_pendulm'; did you mean 'ddpg_pendulum'"):
        lab.load("ddpg_pendulm")


def test_the_history_is_a_table_by_step_and_epoch(result):
    history = result.history
    assert history.index.name == "step"
    assert history.index.is_monotonic_increasing
    assert "epoch" not in history, "agents log none"
    assert history["val/return"].dropna().iloc[-1] == pytest.approx(result.metrics["val/return"])
    assert history["loss/critic"].count() > 5
    assert not [name for name in history if name.startswith(("test/", "best/", "seconds/", "system/"))]


def test_the_epoch_is_known_at_every_step():
    metrics = {"epoch": [(4, 0), (9, 1), (14, 2)], "loss": [(2, 0.5), (4, 0.4), (12, 0.3)], "val": [(9, 0.6)]}
    table = frame(metrics)
    assert list(table.columns) == ["epoch", "loss", "val"]
    assert table["epoch"].to_dict() == {2: 0, 4: 0, 9: 1, 12: 1}


def test_the_curves_are_those_of_the_history(result):
    figure = result.curves()
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["return (more is better)", "loss/actor", "loss/critic"]
    assert figure.get_suptitle() == "ddpg_pendulum"
    assert figure._repr_png_().startswith(b"\x89PNG"), "a notebook shows it also where nobody has imported pyplot"


def test_the_trained_module_is_one_line_away(result):
    before = state()
    best, last = result.load(), result.load("last")
    assert isinstance(best, DDPG)
    assert not best.training
    assert best.device.type == "cpu"
    kept = torch.load(result.last, map_location="cpu", weights_only=True)["state_dict"]
    assert all(torch.equal(value, kept[name]) for name, value in last.state_dict().items())
    assert state() == before
    with pytest.raises(BadInput, match="checkpoint 'third': expected best or last"):
        result.load("third")


def test_a_notebook_shows_score_metrics_and_id(result):
    page = result._repr_html_()
    for text in (
        "ddpg_pendulum: test/return -",
        "test/optimality_gap",
        result.run_id,
        "trained in",
        "lab ui shows it",
    ):
        assert text in page
    assert self_contained(page)


def self_contained(page):
    """Whether a page loads nothing, runs nothing, and has no colours that a dark or a light page would hide."""
    styles = " ".join(re.findall(r'style="([^"]*)"', page))
    return not re.search(r"<(script|link|img|iframe)|src=\"(?!data:)|url\(|@import", page) and not re.search(
        r"#[0-9a-f]{3}|rgb|black|white", styles
    )


def test_the_files_are_on_this_machine(result):
    assert (result.artifacts / "recipe.yaml").is_file()
    assert result.url is None, "no server runs for a database"


def test_the_runs_are_a_table(result):
    table = lab.runs()
    assert list(table.columns[:4]) == ["run_id", "name", "experiment", "task"]
    assert table.loc[0, "run_id"] == result.run_id
    assert table.loc[0, "score"] == pytest.approx(result.score)
    assert isinstance(table.loc[0, "started"], pd.Timestamp)
    assert list(lab.runs("pendulum", last=1)["name"]) == ["ddpg_pendulum"]
    with pytest.raises(BadInput, match="did you mean 'pendulum'"):
        lab.runs("pendulm")


def test_the_examples_of_testing_and_playing(result):
    before = state()
    run_example("evaluate")
    run_example("play")
    assert state() == before
    episode = lab.play(result, "again.mp4", seed=3)
    assert episode.score < 0
    page = episode._repr_html_()
    assert 'src="data:video/mp4;base64,' in page
    assert self_contained(page)


@pytest.mark.parametrize("name", list(HOMES))
def test_the_examples_of_reading(result, name):
    run_example(name)


def test_a_finished_run_is_not_resumed(result):
    with pytest.raises(BadInput, match="is finished"):
        lab.resume(result)


def test_a_run_is_compared_by_its_result(result):
    found = lab.compare(result)
    assert found.metric == "test/return"
    assert list(found.to_frame()["mean"]) == [pytest.approx(result.score)]


@pytest.mark.long
def test_in_a_thread_and_beside_other_work_of_torch(result):
    """The same training again in a thread: the same numbers, and the random numbers of this thread go on."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, found = torch.rand(1), []
    overrides = "data.total_steps=600", {"data.learning_starts": 200, "data.eval_every": 300}
    thread = threading.Thread(target=lambda: found.append(lab.run("ddpg_pendulum", *overrides, name="again")))
    thread.start()
    thread.join()
    assert torch.equal(torch.cat([first, torch.rand(2)]), expected)
    assert found[0].metrics == result.metrics
    assert found[0].name == "again"


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"seeds": 2, "folds": 2}, "folds cannot be combined with seeds"),
        ({"seeds": 2, "offline": True}, "seeds cannot be combined with offline"),
        ({"seeds": 1}, "seeds=1: expected a whole number of 2 or more"),
        ({"folds": 2.5}, "folds=2.5: expected a whole number of 2 or more"),
        ({"workers": 2}, "workers needs seeds or folds"),
    ],
)
def test_keywords_that_do_not_go_together(keywords, message):
    with pytest.raises(BadInput, match=message):
        lab.run("ddpg_pendulum", **keywords)


def test_the_page_of_a_run_on_a_server_is_a_link():
    run = TrainingRun("ab12", "x", "ddpg", "FINISHED", None, None, {}, {}, None, None, "http://ann:secret@host", 1.0)
    info = SimpleNamespace(experiment_id="7", artifact_uri="mlflow-artifacts:/7/ab12/artifacts")
    vars(run)["_recorded"] = SimpleNamespace(info=info)
    assert run.artifacts is None
    page = run._repr_html_()
    assert '<a href="http://host/#/experiments/7/runs/ab12' in page
    assert "secret" not in page
    assert self_contained(page)
