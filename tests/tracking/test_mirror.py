"""Mirrors have what the journal has: in CSV, in TensorBoard's files, in W&B's."""

from __future__ import annotations

import csv
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.errors import RecipeError
from lab.recipe import load
from lab.runner.assemble import assemble
from lab.tracking.logger import Tracker
from lab.tracking.mirror import mirrors
from lab.tracking.mirror.csv_mirror import Mirror
from lab.tracking.names import safe_file_name
from tests.runner.projects import Judged


@pytest.fixture
def folder(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tracked)
    monkeypatch.setenv("WANDB_MODE", "offline")
    return tracked / "mlruns" / "mirror"


def tracker(**about: Any) -> Tracker:
    return Tracker(f"sqlite:///{Path.cwd()}/mlflow.db", "an/experiment", "a run", {}, **about)


def write(run: Tracker, steps: range) -> None:
    run.log_params({"lr": 0.1})
    for step in steps:
        run.log_metrics({"loss": 1.0 / (1 + step), "epoch": step // 2}, step=step)
    run.experiment.add_image("seen", torch.rand(3, 4, 4), steps[-1])


def table(folder: Path) -> list[dict[str, str]]:
    (file,) = folder.glob("csv/*/*/metrics.csv")
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_table_that_a_resumed_run_goes_on_with(folder: Path) -> None:
    run = tracker()
    run.mirror(["csv"])
    write(run, range(3))
    run.finish("KILLED")
    assert [row["step"] for row in table(folder)] == ["0", "1", "2"]
    again = tracker(resume=run.run_id)
    again.mirror(["csv"])
    write(again, range(3, 5))
    again.log_metrics({"accuracy": 0.5}, step=4)
    again.finish("FINISHED")
    rows = table(folder)
    assert [row["step"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row["loss"] for row in rows][:2] == ["1.0", "0.5"]
    assert (rows[4]["accuracy"], rows[0]["accuracy"]) == ("0.5", "")
    (parameters,) = folder.glob(f"csv/{safe_file_name('an/experiment')}/{safe_file_name('a run')}-*/hparams.yaml")
    assert parameters.read_text() == "lr: '0.1'\n"


@pytest.mark.parametrize("name", ["ü" * 150, "🔥/" * 60, "..", "a" * 230])
def test_any_experiment_and_run_has_a_folder(folder: Path, name: str) -> None:
    run = Tracker(f"sqlite:///{Path.cwd()}/mlflow.db", name, name, {})
    run.mirror(["csv"])
    run.log_metrics({"loss": 1.0}, step=0)
    run.finish("FINISHED")
    assert [row["loss"] for row in table(folder)] == ["1.0"]


def test_metrics_of_one_step_that_come_apart_share_a_row(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    for points in ([("a", 1.0, 0, 1)], [("b", 2.0, 0, 1), ("a", 3.0, 0, 1)], [("a", float("nan"), 0, 2)]):
        mirror.send([{"op": "metrics", "metrics": points}])
    mirror.send([{"op": "end", "status": "FINISHED"}])
    assert (tmp_path / "metrics.csv").read_text().split() == ["step,a,b", "1,1.0,2.0", "1,3.0,", "2,nan,"]


@pytest.mark.slow
def test_tensorboard_shows_curves_pictures_and_parameters(folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tracker()
    run.mirror(["tensorboard", "csv"])
    write(run, range(3))
    run.experiment.add_text("note", "hello", 1)
    run.finish("FINISHED")
    (place,) = folder.glob("tensorboard/*/*")
    events = EventAccumulator(str(place))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [0, 1, 2]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([1, 1 / 2, 1 / 3])
    assert [event.step for event in events.Images("images/seen")] == [2]
    assert "texts/note/text_summary" in events.Tags()["tensors"]
    assert "_hparams_/session_start_info" in events.summary_metadata


@pytest.mark.long
def test_wandb_offline(folder: Path) -> None:
    run = tracker()
    run.mirror(["wandb"])
    write(run, range(3))
    run.finish("FINISHED")
    (file,) = folder.glob("wandb/*/*/wandb/offline-run-*/*.wandb")
    assert file.stat().st_size > 500
    assert list(file.parent.rglob("*.png"))


def test_a_mirror_that_fails_is_said_and_the_run_goes_on(folder: Path, monkeypatch, capsys) -> None:
    def broken(self: Mirror, *_: object) -> bool:
        raise OSError("no room")

    monkeypatch.setattr(Mirror, "send", broken)
    monkeypatch.setattr("lab.tracking.logger.FINISH_TIMEOUT", 0.2)
    run = tracker()
    run.mirror(["csv"])
    write(run, range(3))
    run.finish("FINISHED")
    assert "csv mirror: no room" in capsys.readouterr().err


def test_a_copy_for_the_server_stays_until_mirrors_have_seen_it(tmp_path: Path) -> None:
    from lab.tracking.journal import Journal
    from lab.tracking.sender import deliver

    class Everything:
        uploading = False

        def send(self, _: Any) -> bool:
            return True

    journal = Journal(tmp_path / "run")
    (tmp_path / "run" / "a.png").write_text("x")
    journal.append({"op": "artifact", "file": "a.png", "to": ""})
    journal.readers = {"server", "mirror"}
    deliver(journal, Everything(), "server")
    assert (tmp_path / "run" / "a.png").exists()
    deliver(journal, Everything(), "mirror")
    assert not (tmp_path / "run" / "a.png").exists()


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(folder: Path, monkeypatch, kind: str) -> None:
    def nothing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(mirrors.metadata, "version", nothing)
    name = f"{Judged.__module__}:"
    Path("r.yaml").write_text(
        f"task: {{module: '{name}Judged', data: '{name}Rows', monitor: valid_loss}}\n"
        f"trainer: {{max_epochs: 1}}\ntrack:\n  mirror: [csv, {kind}]\n"
    )
    with pytest.raises(RecipeError) as error:
        assemble(load("r.yaml"))
    said = f"r.yaml:4: track.mirror.1: {kind} is not installed; pip install 'torch-lab[{kind}]'"
    assert str(error.value) == said


def test_another_word_is_refused(folder: Path) -> None:
    Path("r.yaml").write_text("task: ddpg\ntrack: {mirror: [tensorbord]}\n")
    (problem,) = load("r.yaml").problems
    assert "track.mirror" in str(problem)
    assert "tensorboard" in str(problem)
