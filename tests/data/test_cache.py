"""The cache: made once, whole, and no harm where it cannot be written."""

import pytest
import torch

from lab.data import Ragged, Table, cached, cached_table, root


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "data"))


class Make:
    """Counts how often it is asked."""

    def __init__(self, value):
        self.value, self.calls = value, 0

    def __call__(self):
        self.calls += 1
        return self.value


def test_the_folder_is_data_or_what_the_variable_says(tmp_path, monkeypatch):
    assert root() == tmp_path / "data"
    monkeypatch.setenv("LAB_DATA", "")
    assert str(root()) == "data"


def test_values_are_made_once():
    make = Make({"weights": torch.arange(3), "name": "x"})
    for _ in range(2):
        found = cached("key", make)
        assert (found["weights"].tolist(), found["name"]) == ([0, 1, 2], "x")
    assert make.calls == 1
    assert cached("key.2", Make({"weights": 1}))["weights"] == 1, "a dot in a name ends nothing"
    assert sorted(file.name for file in (root() / "cache").iterdir()) == ["key.2.pt", "key.pt"]


def test_a_table_comes_back_as_it_was_and_no_larger_than_it_is():
    whole = torch.zeros(100_000, 10)
    make = Make(
        Table(
            {
                "x": whole[:5],
                "words": Ragged.from_rows([torch.tensor([1, 2]), torch.tensor([3])] * 2 + [torch.tensor([4])]),
            }
        )
    )
    for _ in range(2):
        found = cached_table("rows", make)
        assert found["x"].shape == (5, 10)
        assert [found["words"][i].tolist() for i in range(5)] == [[1, 2], [3], [1, 2], [3], [4]]
    assert make.calls == 1
    assert (root() / "cache" / "rows.table.pt").stat().st_size < 10_000


def test_a_damaged_file_is_made_anew():
    make = Make({"x": torch.ones(4)})
    cached("key", make)
    file = root() / "cache" / "key.pt"
    file.write_bytes(file.read_bytes()[:-30])
    assert cached("key", make)["x"].sum() == 4
    assert make.calls == 2
    cached("key", make)
    assert make.calls == 2


def test_no_room_is_no_error(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lab.files.save", full)
    assert cached("key", Make({"x": 1})) == {"x": 1}
