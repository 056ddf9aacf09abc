"""A run from recipe to MLflow: what it records, what it returns, what it refuses."""

import json
import os
import re
import shutil
import signal
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

import lab
from lab.errors import BadInput, LabError, RecipeError
from lab.recipe import load
from lab.rl.common.agent import Agent
from lab.runner import record
from lab.runner.assemble import assemble
from lab.runner.evaluate import evaluate, play
from lab.runner.fit import fit
from lab.runner.results import find_run, runs

RECIPE = """\
# lab run short.yaml
# DDPG tries a pendulum;
# expect little
task: ddpg
threads: 1
model: {hidden: [16]}
data: {env: Pendulum-v1, total_steps: 600, learning_starts: 200, batch_size: 16, eval_every: 200, eval_episodes: 2,
       test_episodes: 3}
trainer: {accelerator: cpu, devices: 1}
track: {experiment: fits, name: short, tags: {why: test}}
"""


@pytest.fixture
def recipe(tracked, monkeypatch):
    monkeypatch.chdir(tracked)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Path("short.yaml").write_text(RECIPE)
    return Path("short.yaml")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished run, for every test that only looks at it."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "short.yaml").write_text(RECIPE)
    result = fit(load(folder / "short.yaml", [f"track.uri=sqlite:///{folder}/mlflow.db"]))
    return result, MlflowClient(result.uri)


@pytest.mark.slow
def test_the_result_says_what_happened(finished):
    result, _ = finished
    assert (result.status, result.task, result.name, result.monitor) == ("FINISHED", "ddpg", "short", "test/return")
    assert result.score == result.metrics["test/return"]
    assert -2000 < result.score < 0
    assert result.metrics["test/optimality_gap"] > 0
    assert result.best.name == "best.ckpt"
    assert result.last.name == "last.ckpt"
    assert result.best.parent == result.last.parent


@pytest.mark.slow
def test_mlflow_knows_every_parameter_tag_and_artifact(finished):
    result, client = finished
    run = client.get_run(result.run_id)
    assert run.info.status == "FINISHED"
    expected = {"task": "ddpg", "seed": "0", "why": "test", "field": "rl", "recipe": "short"}
    assert expected.items() <= run.data.tags.items()
    assert {"hardware", "mlflow.lab.version", "mlflow.runName"} <= run.data.tags.keys()
    assert run.data.tags["mlflow.user"]
    about = run.data.tags["mlflow.note.content"].split("\n\n")
    assert about[:2] == [f"**test/return {result.score:.4g}**", "DDPG tries a pendulum; expect little"]
    assert about[2].startswith("![plots/training.png](get-artifact?path=plots%2Ftraining.png&run_uuid=")
    wanted = {"model.hidden": "[16]", "model.gamma": "0.99", "data.buffer_size": "1000000", "trainer.devices": "1"}
    assert wanted.items() <= run.data.params.items(), "set parameters and defaults alike"
    assert not {"model.observation_size", "trainer.log_every_n_steps", "data.env_kwargs"} & run.data.params.keys()
    shown = {tag for tag in run.data.tags if not tag.startswith("mlflow.")}
    assert shown == {"task", "recipe", "field", "seed", "hardware", "why"}
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.tags[0].value) == ("Pendulum-v1", "training")
    assert re.search(r'"package": "gymnasium \d', used.dataset.profile)
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert model.name == run.data.tags["recipe"]
    scores = {metric.key: metric.value for metric in model.metrics}
    assert scores["test/return"] == result.score
    assert scores.keys() >= {"best/val/return", "test/optimality_gap"}
    found = {artifact.path for folder in ("", "plots", "videos", "environment", "checkpoints")
             for artifact in client.list_artifacts(result.run_id, folder)}  # fmt: skip
    pictures = {"plots/policy.png", "plots/training.png", "videos/agent.mp4"}
    assert {"recipe.yaml", "environment/packages.txt", *pictures} <= found
    assert {"checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= found


@pytest.mark.slow
def test_metrics_are_drawn_against_environment_steps(finished):
    result, client = finished
    losses = client.get_metric_history(result.run_id, "loss/critic")
    assert [point.step for point in losses] == list(range(250, 601, 50))
    returns = client.get_metric_history(result.run_id, "val/return")
    assert [point.step for point in returns] == [250, 400, 600]
    assert [point.value for point in client.get_metric_history(result.run_id, "updates")][-1] == 400
    trained = {"loss/actor", "q/mean", "gradient_norm/actor", "gradient_norm/critic", "train/return"}
    assert trained <= client.get_run(result.run_id).data.metrics.keys()


@pytest.mark.slow
def test_best_is_the_best_and_last_is_the_last(finished):
    result, client = finished
    best, last = (torch.load(path, weights_only=True) for path in (result.best, result.last))
    history = {point.step: point.value for point in client.get_metric_history(result.run_id, "val/return")}
    assert best["env_steps"] == max(history, key=lambda step: history[step])
    assert last["env_steps"] == 600


@pytest.mark.slow
def test_the_logged_recipe_is_the_run(finished, tmp_path):
    result, client = finished
    again = load(client.download_artifacts(result.run_id, "recipe.yaml", str(tmp_path)))
    assert again.problems == ()
    assert (again.task, again.model["hidden"], again.data["total_steps"]) == ("ddpg", [16], 600)


@pytest.mark.slow
def test_a_run_can_be_found_tested_and_watched_again(finished, tmp_path, monkeypatch):
    result, _ = finished
    assert find_run(result.run_id[:6], result.uri).info.run_id == result.run_id
    assert find_run("last", result.uri).info.run_id == result.run_id
    assert find_run("short", result.uri).info.run_id == result.run_id
    (row,) = runs(uri=result.uri)
    assert (row.name, row.experiment, row.monitor, row.score) == ("short", "fits", "test/return", result.score)
    assert evaluate("last", None, "best", (), result.uri)["test/return"] == pytest.approx(result.score)
    wanted = {"test/return", "test/return_std", "test/overestimation", "test/optimality_gap"}
    assert evaluate("last", 1, "last", (), result.uri).keys() == wanted
    video = tmp_path / "agent.mp4"
    loaded = []
    monkeypatch.setattr(Agent, "on_load_checkpoint", lambda _, checkpoint: loaded.append(checkpoint["env_steps"]))
    play("last", video, 0, "last", result.uri)
    assert loaded == [600]  # what a module keeps beside its weights belongs to the agent that is played
    play("last", video, 0, "best", result.uri)
    assert video.stat().st_size > 1000


@pytest.mark.slow
def test_what_cannot_be_found_is_said_in_one_line(finished, tmp_path):
    uri = finished[0].uri
    with pytest.raises(BadInput, match="no run 'shirt'; did you mean 'short'"):
        find_run("shirt", uri)
    with pytest.raises(BadInput, match="no experiment 'fit'; did you mean 'fits'"):
        runs("fit", uri=uri)
    with pytest.raises(BadInput, match="no folder"):
        play("last", tmp_path / "nowhere" / "a.mp4", 0, "best", uri)
    with pytest.raises(BadInput, match=r"ends in \.mp4"):
        play("last", tmp_path / "a.gif", 0, "best", uri)
    with pytest.raises(RecipeError, match="unknown key 'lrr'"):
        evaluate("last", None, "best", ["model.lrr=1"], uri)


@pytest.mark.long
def test_from_python_it_is_one_call(recipe):
    result = lab.run(str(recipe), "data.total_steps=300", "data.eval_every=100", "track.system_metrics=false")
    assert result.uri == f"sqlite:///{Path('mlflow.db').absolute()}"
    assert Path("mlruns/fits").is_dir()
    assert torch.load(result.last, weights_only=True)["env_steps"] == 300


@pytest.mark.long
def test_the_same_seed_twice_is_the_same_run(recipe):
    def weights(seed):
        short = ["data.total_steps=300", "trainer.limit_test_batches=0", "track.system_metrics=false"]
        result = fit(load(recipe, [*short, f"seed={seed}"]))
        return torch.load(result.last, weights_only=True)["state_dict"]

    first, again, other = weights(3), weights(3), weights(4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.long
def test_a_callback_of_the_recipe_stops_early(recipe):
    stop = {"class_path": "lightning.pytorch.callbacks.EarlyStopping",
            "init_args": {"monitor": "val/return", "mode": "max", "stopping_threshold": -1e9}}  # fmt: skip
    result = fit(load(recipe, [f"callbacks={json.dumps([stop])}", "track.system_metrics=false"]))
    assert torch.load(result.last, weights_only=True)["env_steps"] == 250


@pytest.mark.slow
def test_a_run_that_fails_is_marked(recipe, monkeypatch):
    from lab.rl.ddpg import DDPG

    def broken(*_):
        raise RuntimeError("the reactor melts")

    monkeypatch.setattr(DDPG, "training_step", broken)
    with pytest.raises(LabError, match=r"in training, epoch 0, batch 1 .*: RuntimeError: the reactor melts; raised in"):
        fit(load(recipe, ["track.system_metrics=false"]))
    (row,) = runs()
    assert row.status == "FAILED"


@pytest.mark.slow
def test_a_run_that_is_interrupted_is_marked(recipe, monkeypatch, capsys):
    from lab.rl.ddpg import DDPG

    def impatient(*_):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(DDPG, "training_step", impatient)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: os.terminal_size((60, 24)))
    with pytest.raises(KeyboardInterrupt):
        fit(load(recipe, ["track.system_metrics=false"]))
    (row,) = runs()
    assert row.status == "KILLED"
    run = row.run_id[:8]
    assert capsys.readouterr().err.endswith(f"SIGINT: run {run} is marked KILLED; lab resume {run}\n  continues it\n")


@pytest.mark.slow
def test_all_problems_come_together(recipe):
    overrides = ["model.lrr=1", "data.env=Pendulm-v1", "trainer.device=2", "trainer.logger=true", "sed=1"]
    with pytest.raises(RecipeError) as error:
        assemble(load(recipe, overrides))
    keys = {problem.key for problem in error.value.problems}
    assert keys == {"model.lrr", "data.env", "trainer.device", "trainer.logger", "sed"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.accelerator=cuda"], "override trainer.accelerator=cuda: trainer.accelerator: "),
        (["trainer.max_epochs=-5"], "override trainer.max_epochs=-5: trainer.max_epochs: "),
        (["trainer.max_time=soon"], "override trainer.max_time=soon: trainer.max_time: "),
        (["trainer.gradient_clip_val=-1"], "trainer.gradient_clip_val: expected 0 or more"),
        (["trainer.accumulate_grad_batches=0"], "trainer.accumulate_grad_batches: expected 1 or more"),
        (["callbacks=[{class_path: nowhere.Nothing}]"], "nowhere"),
        (
            ["data.updates_per_step=0.001"],
            "data.updates_per_step: 0.001 times a train_freq of 50 is",
        ),
        (["data.learning_starts=600"], "data.learning_starts: expected less than total_steps (600), found 600"),
    ],
)
def test_what_only_the_constructors_see_is_located_too(recipe, overrides, message):
    Path("mlflow.db").unlink()
    with pytest.raises(RecipeError) as error:
        fit(load(recipe, overrides))
    assert message in str(error.value)
    assert not Path("mlflow.db").exists(), "nothing was started"


def test_a_server_that_is_away_is_one_line():
    from lab.tracking.server import client

    with pytest.raises(LabError, match=r"http://127.0.0.1:9 cannot be reached") as error:
        client("http://me:secret@127.0.0.1:9")
    assert "secret" not in str(error.value)


PROJECT = """\
import torch
from lightning import LightningDataModule, LightningModule


class Net(LightningModule):
    def __init__(self, width=4):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(1, width), torch.nn.Tanh(), torch.nn.Linear(width, 1))

    def training_step(self, batch):
        x, y = batch
        return (self.layers(x) - y).square().mean()

    def validation_step(self, batch):
        self.log("val_loss", self.training_step(batch))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.05)


class Line(LightningDataModule):
    def __init__(self, batch_size=8):
        super().__init__()
        self.batch_size = batch_size

    def train_dataloader(self):
        x = torch.linspace(-1, 1, 64)[:, None]
        return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x), self.batch_size)

    val_dataloader = train_dataloader
"""


@pytest.mark.slow
def test_an_existing_project_runs_unchanged(recipe):
    """No registration, no facts, no saved hyper-parameters, no test: only importable classes."""
    folder = recipe.absolute().parent
    (folder / "existing_project.py").write_text(PROJECT)
    (folder / "existing.yaml").write_text(
        "task: {module: existing_project:Net, data: existing_project:Line, monitor: val_loss}\n"
        "model: {width: 8}\ndata: {batch_size: 16}\ntrainer: {max_epochs: 20, accelerator: cpu}\n"
    )
    result = lab.run("existing.yaml", "track.system_metrics=false")
    assert (result.status, result.monitor, result.task) == ("FINISHED", "best/val_loss", "Net")
    assert result.score < 0.05
    with pytest.raises(RecipeError, match="the training has no limit; set one of max_epochs"):
        lab.run("existing.yaml", "trainer.max_epochs=null")
    with pytest.raises(RecipeError, match="unknown key 'widht'; did you mean 'width'"):
        lab.run("existing.yaml", "model.widht=3")


@pytest.mark.slow
def test_what_only_the_set_up_sees_has_its_key_and_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("few.yaml").write_text(
        "task: classify\nmodel: {network: mlp}\ndata: {name: digits, max_images: 2, val_fraction: 0.9}\n"
        "trainer: {max_epochs: 1, accelerator: cpu}\n"
    )
    with pytest.raises(BadInput, match=r"^few.yaml:3: data.val_fraction: 2 of 2 rows leave none to train on$"):
        fit(load(Path("few.yaml")))


@pytest.mark.slow
def test_a_package_is_listed_as_its_metadata_says(tmp_path):
    text = "Metadata-Version: 2.1\nName: some-package\nVersion: 1.2\nSummary: short\n\nVersion: 9 was worse\n"
    (tmp_path / "METADATA").write_text(text)
    assert record._package(metadata.PathDistribution(tmp_path)) == "some-package==1.2\n"
    for installed in metadata.distributions():
        assert record._package(installed) == f"{installed.name}=={installed.version}\n"
