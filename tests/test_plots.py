"""Figures look alike, and reach the tracking server from the first process only."""

import itertools
import os
import shutil
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from lightning import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from mlflow import MlflowClient
from PIL import Image

from lab import plots
from lab.plots import COLORS, figure, log_figure, log_file, text_on, training_curves


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
    pyplot.close("all")  # whatever other tests left
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


@pytest.mark.slow
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


def panels(drawing):
    """What each panel shows: its title, and the label of each curve with its points."""
    return {
        panel.get_title("left"): {line.get_label(): line.get_xydata().tolist() for line in panel.lines}
        for panel in drawing.axes
    }


def test_a_training_is_drawn_with_losses_and_monitor_and_the_best_checkpoint_is_marked():
    history = {
        "train/loss": [(1, 3.0), (2, 1.0)],
        "val/loss": [(2, float("nan")), (4, 0.5)],
        "val/accuracy": [(2, 0.5), (4, 0.9), (6, 0.8)],
        "test/accuracy": [(6, 0.9)],
        "lr": [(1, 0.1)],
        "system/memory": [(1, 1.0)],
    }
    drawing = training_curves(history, "val/accuracy", "max", "training steps", "a run")
    assert panels(drawing) == {
        "accuracy (more is better)": {
            "validation": [[2, 0.5], [4, 0.9], [6, 0.8]],
            "best checkpoint, 0.9": [[4, 0.9]],
        },
        "loss": {"training": [[1, 3.0], [2, 1.0]], "validation": [[4, 0.5]]},
    }
    assert {panel.get_xlabel() for panel in drawing.axes} == {"training steps"}
    drawing.draw_without_rendering()
    for panel in drawing.axes:  # no legend lies on a curve or is cut
        box = panel.get_legend().get_window_extent()
        assert box.y0 > 0
        assert box.y1 < panel.xaxis.get_label().get_window_extent().y0


def test_curves_of_other_names_find_their_panel():
    """Lightning appends to names, and projects have words of their own for validation."""
    history = {
        "loss_step": [(1, 9.0)],
        "loss_epoch": [(2, 4.0)],
        "valid_loss": [(2, 5.0)],
        "loss/critic": [(1, 1e-3), (2, 10.0)],
    }
    drawing = training_curves(history, "valid_loss", "min")
    shown = panels(drawing)
    assert list(shown) == ["loss (less is better)", "loss/critic"]
    assert list(shown["loss (less is better)"]) == ["loss_epoch", "validation", "best checkpoint, 5"]
    assert drawing.axes[1].get_yscale() == "log"
    assert training_curves({"test/loss": [(1, 1.0)], "loss": [(1, float("nan"))]}, "val/loss") is None


def test_a_long_training_is_drawn_with_few_points_and_its_last_one():
    points = [(step, 1.0) for step in range(100_000)]
    ((_, (line,)),) = [(panel, panel.lines) for panel in training_curves({"loss": points}).axes]
    assert len(line.get_xdata()) <= plots.DRAWN + 1
    assert line.get_xdata()[-1] == 99_999


# What becomes of linear RGB without one kind of cone: Machado, Oliveira and Fernandes, 2009, severity 1.
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def lightness_and_hue(linear):
    """CIELAB from linear RGB, in which equal distances look alike."""
    rgb_to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = rgb_to_xyz @ np.clip(linear, 0, 1) / np.array([0.9505, 1, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("kind", BLINDNESS)
def test_colours_are_told_apart_without_one_kind_of_cone(kind):
    linear = [np.array([((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]) for color in COLORS]
    seen = [lightness_and_hue(np.array(BLINDNESS[kind]) @ color) for color in linear]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) > 8


def test_text_on_a_colour_can_be_read():
    assert (text_on("white"), text_on("#08306b"), text_on((1, 1, 0))) == ("black", "white", "black")


@pytest.mark.slow
def test_figures_are_dark_where_the_environment_says_so(tmp_path):
    code = "from lab.plots import figure\nwith figure() as (drawing, axes): axes.plot([1, 2]); drawing.savefig('a.png')"
    environment = {**os.environ, plots.STYLE: "dark"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)
    assert Image.open(tmp_path / "a.png").convert("RGB").getpixel((0, 0)) == (15, 23, 42)


def test_an_unknown_style_is_said_once(monkeypatch, capsys):
    monkeypatch.setenv(plots.STYLE, "drak")
    plots._check_style.cache_clear()
    for _ in range(2):
        with figure():
            pass
    assert capsys.readouterr().err == "LAB_PLOT_STYLE: expected light or dark, found 'drak'; plots are light\n"
