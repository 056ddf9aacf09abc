"""`lab data`, as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torchvision import datasets

Lab = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_other_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_DATA", raising=False)


def test_ls_says_what_is_there_and_what_is_missing(lab: Lab, tmp_path: Path) -> None:
    outcome = lab("data", "ls")
    assert outcome.code == 0
    lines = {line.split()[0]: line for line in outcome.out.splitlines()}
    assert "built in" in lines["letters"]
    assert "generated" in lines["letters"]
    assert "missing" in lines["mnist"]
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    (tmp_path / "data" / "mnist" / "file").write_bytes(b"x" * 3_000_000)
    rows = {row["name"]: row for row in json.loads(lab("data", "ls", "--json").out)}
    assert rows["mnist"]["bytes"] == 3_000_000
    assert rows["mnist"]["state"] == "3 MB"
    assert rows["pet"]["state"] == "missing"
    assert rows["digits"]["origin"] == "real"


def test_fetch_without_a_network_is_one_line(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["file:///nowhere/"])
    outcome = lab("data", "fetch", "mnist")
    assert outcome.code == 1
    assert outcome.out == ""
    assert outcome.err.splitlines()[-1].endswith("; where there is a network: lab data fetch mnist")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch", "mnits"], "no set of images 'mnits'; did you mean 'mnist'?"),
        (["show", "leters"], "no set of images 'leters'; did you mean 'letters'?"),
        (["show", "letters", "--plot", "x.doc"], "expected a name ending in .png, .pdf or .svg"),
        (["show", "letters", "--track"], "--track logs the plot; name its file with --plot FILE"),
        (["show", "folder"], "name the folder that has `images/` and `masks/`"),
        (["fetch", "keypoints"], "asks for a login: put its training.csv at data/keypoints/training.csv"),
    ],
)
def test_bad_input_is_one_line(lab: Lab, arguments: list[str], message: str) -> None:
    outcome = lab("data", *arguments)
    assert outcome.code == 2
    assert message in outcome.err.splitlines()[-1]


def test_fetch_says_what_needs_no_download(lab: Lab) -> None:
    assert "letters needs no download" in lab("data", "fetch", "letters").out
    assert "folder needs no download" in lab("data", "fetch", "folder").out


@pytest.mark.parametrize("name", ["digits", "scenes", "faces"])
def test_show_draws_a_page(lab: Lab, tmp_path: Path, name: str) -> None:
    outcome = lab("data", "show", name, "--images", "104", "--plot", "page.png", "--json")
    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert found["images"] == 104
    assert max(found["counts"].values()) <= 104
    with Image.open(tmp_path / "page.png") as page:
        assert page.width > 1500


def test_show_counts_without_a_picture(lab: Lab) -> None:
    outcome = lab("data", "show", "letters", "--images", "52")
    assert outcome.code == 0
    assert [line.split() for line in outcome.out.splitlines()[2:]] == [
        [letter, "2"] for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    ]


@pytest.mark.slow
def test_a_tracked_page_is_in_mlflow(lab: Lab, tracked: Path) -> None:
    from mlflow import MlflowClient

    address = f"sqlite:///{tracked}/mlflow.db"
    arguments = ("--images", "104", "--plot", "page.png", "--track", "--uri", address)
    assert lab("data", "show", "digits", *arguments).code == 0
    server = MlflowClient(address)
    (run,) = server.search_runs([server.get_experiment_by_name("data").experiment_id])
    assert run.data.tags["data.origin"] == "real"
    assert run.info.status == "FINISHED"
    assert [file.path for file in server.list_artifacts(run.info.run_id, "plots")] == ["plots/page.png"]
