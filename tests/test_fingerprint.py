"""A fingerprint of data differs when the data does, and not when the same data lies elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from lab import fingerprint
from lab.data import Ragged, Table
from lab.fingerprint import differences, of_path, of_plain, of_rows, of_settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a few files beside the current one."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in ("a/one.txt", "a/two.txt", "b/one.txt"):
        file = tmp_path / "set" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name * 10)
    return tmp_path / "set"


def test_a_copy_elsewhere_is_the_same_data(folder: Path, tmp_path: Path):
    before = of_path(folder)
    moved = folder.rename(tmp_path / "elsewhere")
    os.utime(moved / "a" / "one.txt", (1, 1))
    (moved / ".cache").mkdir()
    (moved / ".cache" / "index").write_text("hidden")
    assert of_path(moved) == before
    assert before["files"] == 3


CHANGES = {
    "another byte": lambda folder: (folder / "a" / "one.txt").write_text("X" * 90),
    "a name": lambda folder: (folder / "a" / "one.txt").rename(folder / "a" / "three.txt"),
    "a file more": lambda folder: (folder / "c.txt").write_text(""),
    "a file less": lambda folder: (folder / "b" / "one.txt").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_small_folder_is_seen(change: str, folder: Path):
    before = of_path(folder)
    CHANGES[change](folder)
    assert of_path(folder) != before


def test_a_folder_that_holds_itself_ends(folder: Path):
    (folder / "a" / "again").symlink_to(folder)
    assert of_path(folder)["files"] == 3


def test_settings_that_name_files_are_found_wherever_they_stand(folder: Path):
    (folder / "train").mkdir()
    settings = {
        "path": str(folder),
        "sets": [{"init_args": {"csv_file": folder / "a" / "one.txt"}}],
        "name": "train",
        "gone": "no/such/file.csv",
        "data_dir": ".",
        "long_path": "x" * 10_000,
        "batch_size": 3,
    }
    assert list(of_settings(settings, "data")) == ["data.path", "data.sets.0.init_args.csv_file"]


def test_a_folder_by_a_plain_word_counts_if_its_key_says_path(folder: Path):
    os.chdir(folder)
    assert list(of_settings({"root": "a", "name": "b", "image_dir": "b"}, "data")) == ["data.root", "data.image_dir"]


class Kept(Dataset[Any]):
    """Rows in whatever it was given."""

    def __init__(self, *kept: Any) -> None:
        self.kept, self.root = kept, "/a/path"

    def __len__(self) -> int:
        return 4


ROWS = torch.arange(8.0).reshape(4, 2)
KINDS = {
    "tensors": lambda x: TensorDataset(x, x + 1),
    "a table": lambda x: Table({"x": x}),
    "ragged rows": lambda x: Table({"x": Ragged(x.flatten(), torch.tensor([0, 2, 4, 8]))}),
    "a part": lambda x: Subset(TensorDataset(x), [0, 1]),
    "several": lambda x: ConcatDataset([TensorDataset(x), TensorDataset(x)]),
    "an array": lambda x: Kept(x.numpy()),
    "a frame": lambda x: Kept(pandas.DataFrame({"x": x[:, 0].numpy(), "name": list("abcd")})),
    "a list": lambda x: Kept(x[:, 0].tolist()),
    "a dictionary": lambda x: Kept({"deep": [{"x": x}]}),
    "half precision": lambda x: Kept(x.bfloat16()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_in_memory_are_seen(kind: str):
    make, other = KINDS[kind], ROWS.clone()
    other[1, 0] = 9
    assert of_rows(make(ROWS)) == of_rows(make(ROWS.clone()))
    assert of_rows(make(ROWS))["contents"] != of_rows(make(other))["contents"]


def test_other_rows_of_the_same_numbers_are_seen():
    rows = TensorDataset(ROWS)
    assert of_rows(Subset(rows, [0, 1])) != of_rows(Subset(rows, [0, 2]))


def test_what_cannot_be_compared_is_left_out():
    class Stream(Dataset[Any]):
        def __len__(self) -> int:
            raise NotImplementedError

    assert of_rows(Stream()) == {}
    assert of_rows(Kept(np.array([object()]), object(), "text")) == {"rows": 4}
    assert of_rows(Kept(torch.zeros(2, 2).to_sparse(), torch.empty(2, device="meta"))) == {"rows": 4}
    assert of_plain({"size": 3, "made": object()}) == {"size": 3}


def test_of_many_numbers_every_column_is_looked_at(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fingerprint, "MAX_VALUES", 100)
    rows = torch.zeros(500, 4)
    for column in range(4):
        other = rows.clone()
        other[:, column] = 1
        assert of_rows(TensorDataset(other)) != of_rows(TensorDataset(rows)), column


def test_a_difference_says_what_was_and_what_is():
    then = {"facts": {"classes": 2, "names": "blake2b:1"}, "data.path": {"files": 2, "contents": "blake2b:1"}}
    now = {"facts": {"classes": 3, "names": "blake2b:1"}, "data.path": {"files": 2, "contents": "blake2b:2"}}
    assert differences(then, now) == ["facts: classes 3, was 2", "data.path: other contents"]
    assert differences(then, then) == []
    assert differences({}, {"data.path": {}}) == ["data.path was not there"]
    assert differences({"data.path": {}}, {}) == ["data.path is not there any more"]
