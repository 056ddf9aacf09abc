"""Figures look alike, and reach the tracking server from the first process only."""

import shutil
import subprocess
import sys

import matplotlib
import pytest
from lightning import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger
from matplotlib import pyplot
from mlflow import MlflowClient

from lab.plots import figure, log_figure, log_file


@pytest.fixture
def tracked(tmp_path, empty_database):
    """A module under a trainer that tracks in MLflow."""
    shutil.copy(empty_database, tmp_path)
    logger = MLFlowLogger(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db", artifact_location=str(tmp_path / "artifacts"))
    return attach(Trainer(accelerator="cpu", logger=logger, enable_progress_bar=False))


def attach(trainer: Trainer) -> LightningModule:
    module = LightningModule()
    module.trainer = trainer
    return module


def kept(module: LightningModule, folder: str) -> list[str]:
    client: MlflowClient = module.logger.experiment
    return [entry.path for entry in client.list_artifacts(module.logger.run_id, folder)]


def test_the_style_holds_inside_the_block_and_nowhere_else():
    before = dict(matplotlib.rcParams)
    with figure() as (_, axes):
        title = axes.set_title("a curve")
        assert matplotlib.rcParams["axes.titleweight"] == title.get_fontweight() == "bold"
    assert dict(matplotlib.rcParams) == before
    assert not axes.spines["top"].get_visible()
    assert pyplot.get_fignums() == []


def test_panels_grow_the_figure_and_give_an_array_of_axes():
    with figure(rows=2, columns=3, width=2, height=1) as (drawing, axes):
        assert axes.shape == (2, 3)
    assert tuple(drawing.get_size_inches()) == (6, 2)


def test_a_figure_is_kept_under_pictures(tracked):
    with figure() as (drawing, axes):
        axes.plot([1, 2, 3])
    log_figure(tracked, "curve.png", drawing)
    assert kept(tracked, "plots") == ["plots/curve.png"]


def test_a_pyplot_figure_is_closed(tracked):
    drawing = pyplot.figure()
    log_figure(tracked, "curve.png", drawing)
    assert not pyplot.fignum_exists(drawing.number)


def test_a_file_is_kept_in_its_folder(tracked, tmp_path):
    video = tmp_path / "agent.mp4"
    video.write_bytes(b"frames")
    log_file(tracked, video, "videos")
    assert kept(tracked, "videos") == ["videos/agent.mp4"]


@pytest.mark.parametrize("trainer", [None, False, "csv"], ids=["no trainer", "no logger", "another logger"])
def test_without_mlflow_nothing_happens(trainer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if trainer is None:
        module = LightningModule()
    else:
        logger = CSVLogger(tmp_path / "csv") if trainer == "csv" else False
        module = attach(Trainer(accelerator="cpu", logger=logger, enable_checkpointing=False))
    with figure() as (drawing, _):
        pass
    log_figure(module, "curve.png", drawing)
    log_file(module, tmp_path / "missing.mp4")
    assert not list(tmp_path.rglob("*.png"))


def test_only_the_first_process_writes(tracked, monkeypatch):
    log_file(tracked, __file__, "first")
    monkeypatch.setattr(LightningModule, "global_rank", 1)
    with figure() as (drawing, _):
        pass
    log_figure(tracked, "curve.png", drawing)
    log_file(tracked, __file__, "second")
    assert kept(tracked, "first")
    assert kept(tracked, "plots") == kept(tracked, "second") == []


def test_importing_it_does_not_import_matplotlib():
    script = "import sys, lab.plots; sys.exit('matplotlib' in sys.modules or 'lightning' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
