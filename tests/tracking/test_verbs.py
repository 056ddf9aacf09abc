"""What modules ask of other loggers lands in MLflow: TensorBoard's verbs, W&B's, and the folders of both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot
from mlflow import MlflowClient
from PIL import Image

from lab.tracking import warn_once
from lab.tracking.logger import Tracker


@pytest.fixture
def tracker(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracker]:
    monkeypatch.chdir(tracked)
    monkeypatch.setattr(warn_once, "_said", set())
    made = Tracker(f"sqlite:///{tracked}/mlflow.db", "verbs", "run", {})
    made.log_metrics({"loss": 1.0}, step=7)
    yield made
    made.finish("KILLED")


def files(tracker: Tracker) -> dict[str, Path]:
    assert tracker.folder is not None
    return {str(path.relative_to(tracker.folder)): path for path in tracker.folder.rglob("*") if path.is_file()}


def recorded(tracker: Tracker) -> MlflowClient:
    tracker.finish("FINISHED")
    return MlflowClient(tracker.uri).get_run(tracker.run_id).data


def test_numbers_of_tensorboard_become_metrics(tracker: Tracker) -> None:
    board: Any = tracker.experiment
    board.add_scalar("a", 1.0, 3)
    board.add_scalar("b", torch.tensor(2.0))
    board.add_scalars("losses", {"x": np.float32(3), "y": torch.tensor([4])}, global_step=5)
    board.add_hparams({"lr": 0.1}, {"hparam/best": 5})
    data = recorded(tracker)
    assert data.metrics == {"loss": 1, "a": 1, "b": 2, "losses/x": 3, "losses/y": 4, "hparam/best": 5}
    assert data.params["lr"] == "0.1"
    history = MlflowClient(tracker.uri).get_metric_history(tracker.run_id, "b")
    assert [point.step for point in history] == [7], "without a step the newest one counts"


@pytest.mark.parametrize(
    ("value", "layout", "size"),
    [
        (torch.rand(3, 8, 6), "CHW", (6, 8)),
        (torch.rand(1, 8, 6).half(), "CHW", (6, 8)),
        (np.zeros((8, 6, 3), np.uint8), "HWC", (6, 8)),
        (np.full((8, 6), np.nan), "HW", (6, 8)),
        (torch.ones(4, 8, 6, dtype=torch.int64), "CHW", (6, 8)),
    ],
)
def test_a_picture(tracker: Tracker, value: Any, layout: str, size: tuple[int, int]) -> None:
    tracker.experiment.add_image("net/seen", value, 20, dataformats=layout)
    assert Image.open(files(tracker)["images/net/seen_00000020.png"]).size == size


def test_numbers_from_0_to_1_are_bright_and_bytes_stay(tracker: Tracker) -> None:
    tracker.experiment.add_image("a", torch.tensor([[[0.0, 0.5, 1.0, 2.0]]]), 0)
    assert list(Image.open(files(tracker)["images/a_00000000.png"]).getdata()) == [0, 127, 255, 255]
    tracker.experiment.add_image("b", torch.tensor([[[0, 7, 255]]], dtype=torch.uint8), 0)
    assert list(Image.open(files(tracker)["images/b_00000000.png"]).getdata()) == [0, 7, 255]


def test_everything_else_that_tensorboard_takes_becomes_a_file(tracker: Tracker) -> None:
    board: Any = tracker.experiment
    figure = pyplot.figure()
    board.add_images("many", torch.rand(5, 3, 4, 4), 1)
    board.add_figure("drawn", figure, 1)
    assert not pyplot.fignum_exists(figure.number), "as TensorBoard closes it"
    board.add_histogram("weights", torch.randn(100), 1)
    board.add_histogram("nothing", torch.tensor([]), 1)
    board.add_text("words", "hello", 1)
    board.add_video("film", torch.rand(2, 3, 3, 4, 4), 1)
    board.add_audio("sound", torch.zeros(1, 100), 1)
    board.add_embedding(torch.rand(3, 2), metadata=["a", "b", "c"], label_img=torch.rand(3, 3, 4, 4), global_step=1)
    board.add_graph(None)
    board.flush()
    board.close()
    assert set(files(tracker)) == {
        "images/many_00000001.png",
        "images/drawn_00000001.png",
        "histograms/weights_00000001.png",
        "histograms/nothing_00000001.png",
        "texts/words_00000001.md",
        "videos/film_00000001.gif",
        "audio/sound_00000001.wav",
        "embeddings/default/tensors_00000001.tsv",
        "embeddings/default/metadata_00000001.tsv",
        "embeddings/default/sprites_00000001.png",
    }


def test_a_dictionary_of_wandb(tracker: Tracker) -> None:
    picture = Image.new("RGB", (3, 2))
    table = SimpleNamespace(columns=["a", "b"], data=[[1, "x"], [2, "y"]])
    tracker.experiment.log(
        {
            "loss": torch.tensor(0.5),
            "inner": {"f1": 0.25},
            "image": SimpleNamespace(image=picture),
            "images": [SimpleNamespace(image=picture), picture],
            "plot": pyplot.figure(),
            "rows": table,
            "counts": SimpleNamespace(histogram=[1, 2], bins=[0, 1, 2]),
            "gradients": np.arange(10.0),
            "note": "hello",
            "nothing": None,
            "trainer/global_step": 9,
        }
    )
    assert set(files(tracker)) == {
        "images/image_00000009.png",
        "images/images_0_00000009.png",
        "images/images_1_00000009.png",
        "images/plot_00000009.png",
        "tables/rows_00000009.csv",
        "histograms/counts_00000009.png",
        "histograms/gradients_00000009.png",
        "texts/note_00000009.md",
    }
    assert files(tracker)["tables/rows_00000009.csv"].read_text().split() == ["a,b", "1,x", "2,y"]
    tracker.experiment.config.update({"lr": 1}, allow_val_change=True)
    tracker.experiment.config["width"] = 2
    tracker.experiment.summary["best"] = 3
    data = recorded(tracker)
    assert data.metrics == {"loss": 0.5, "inner/f1": 0.25, "best": 3}
    assert data.params == {"lr": "1", "width": "2"}


def test_the_verbs_of_wandbs_logger(tracker: Tracker) -> None:
    tracker.log_image("seen", [torch.rand(3, 4, 4), np.zeros((4, 4, 3))], step=2, caption=["a", "b"])
    tracker.log_text("answers", columns=["q", "a"], data=[["1", "2"]])
    tracker.log_table("rows", columns=["q"], data=[[1]], step=3)
    tracker.log_video("film", [np.zeros((2, 3, 4, 4), np.uint8)], step=2)
    tracker.log_audio("sound", [np.zeros(10)], step=2, sample_rate=[8000])
    tracker.watch(None, log="all")
    tracker.log_graph(None)
    assert set(files(tracker)) == {
        "images/seen_0_00000002.png",
        "images/seen_1_00000002.png",
        "tables/answers_00000007.csv",
        "tables/rows_00000003.csv",
        "videos/film_00000002.gif",
        "audio/sound_00000002.wav",
    }


def test_what_nobody_knows_is_said_once_and_does_nothing(tracker: Tracker, capsys) -> None:
    for _ in range(2):
        tracker.experiment.add_mesh("a", vertices=1)
        tracker.log_prompt("a")  # type: ignore[attr-defined]
        tracker.experiment.log({"odd": object()})
        tracker.experiment.add_image("wrong", torch.rand(7, 8, 6), 0)
        tracker.experiment.add_scalar("words", "many")
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "logger.experiment.add_mesh: MLflow has nothing of the kind; what was given is not logged",
        "logger.log_prompt: MLflow has nothing of the kind; what was given is not logged",
        "odd: left out: nothing is known about a object",
        "wrong: left out: an array of shape (8, 6, 7) is not an image: it has 7 channels",
        "words: left out: could not convert string to float: 'many'",
    ]
    assert files(tracker) == {}
    with pytest.raises(AttributeError):
        _ = tracker.nothing  # type: ignore[attr-defined]
    assert not hasattr(tracker.experiment, "__array__")


def test_mlflows_own_verbs_stay_as_they_are(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    tracker.experiment.log_metric(tracker.run_id, "m", 1.0)
    tracker.experiment.log_figure(tracker.run_id, pyplot.figure(), "plots/a.png")
    tracker.experiment.log_artifact(tracker.run_id, str(tmp_path / "a.txt"), "deep")
    tracker.experiment.log_artifact(str(tmp_path / "a.txt"))
    tracker.experiment.log_image(tracker.run_id, np.zeros((4, 4, 3), np.uint8), "b.png")
    tracker.experiment.log_dict(tracker.run_id, {"a": 1}, "c.json")
    found = files(tracker)
    assert set(found) == {"plots/a.png", "deep/a.txt", "a.txt", "b.png", "c.json"}
    assert json.loads(found["c.json"].read_text()) == {"a": 1}
    assert recorded(tracker).metrics["m"] == 1


def test_the_folders_are_one_and_exist(tracker: Tracker) -> None:
    assert tracker.log_dir == tracker.save_dir == tracker.root_dir == tracker.experiment.dir
    assert tracker.log_dir is not None
    assert Path(tracker.log_dir).is_dir()
    (Path(tracker.log_dir) / "note.txt").write_text("x")
    tracker.finish("FINISHED")
    client = MlflowClient(tracker.uri)
    assert [file.path for file in client.list_artifacts(tracker.run_id, "logs")] == ["logs/note.txt"]


def test_an_empty_folder_leaves_nothing(tracker: Tracker) -> None:
    folder = tracker.log_dir
    assert folder is not None
    tracker.finish("FINISHED")
    assert not Path(folder).exists()


def test_a_training_in_memory_offers_the_same() -> None:
    from lab.testing.memory import MemoryLogger

    logger = MemoryLogger()
    assert logger.log_dir is not None
    (Path(logger.log_dir) / "note.txt").write_text("x")
    logger.log_image("seen", [torch.rand(3, 4, 4)], step=2)
    logger.log_numbers({"a": torch.tensor(1.0)}, 3)
    assert logger.points == [("a", 3, 1.0)]
    assert [method for method, _ in logger.experiment.calls] == ["log_media"]


def test_series_and_fields_of_neptune_become_metrics_and_parameters(tracker: Tracker, capsys: Any) -> None:
    board: Any = tracker.experiment
    board["train/loss"].append(0.5, step=9)
    board["train/loss"].append(torch.tensor(0.25), step=10)
    board["seed"] = 3
    board["model"].track_files("s3://somewhere")
    board["model"].track_files("s3://somewhere")
    data = recorded(tracker)
    assert data.metrics["train/loss"] == 0.25
    assert data.params["seed"] == "3"
    assert capsys.readouterr().err.count("logger.experiment['model'].track_files: MLflow has nothing of the kind") == 1
