"""The catalogue: what fields and plugins bring, one line for what is broken, and no harm to a neighbour."""

import json

import pytest
import torch

from lab import registry
from lab.data import DatasetInfo, Table, all_datasets, find_dataset
from lab.errors import BadInput, BadSetting
from lab.registry import Plugin
from lab.vision.data.image_dataset import ImageDataset

OWN = registry.dataset_records


def ramp(split):
    return Table({"x": torch.arange(5.0)})


def record(name="ramp", **settings):
    about = {"field": "tabular", "description": "a ramp", "source": "made up", "origin": "generated"}
    return DatasetInfo(name=name, read=ramp, **{**about, **settings})


@pytest.fixture
def plant(monkeypatch):
    """Entry points of a stranger beside the installed ones: `plant("module:NAME", ...)` with objects in `planted`."""

    def plant(**values):
        entries = [Plugin("datasets", name, f"{__name__}:{name}", "stranger", "1.0") for name in values]
        real = registry._entries
        load = registry.load_object
        monkeypatch.setattr(registry, "_entries", lambda kind: [*real(kind), *(entries if kind == "datasets" else [])])
        monkeypatch.setattr(
            registry,
            "load_object",
            lambda path: values[path.partition(":")[2]] if path.startswith(f"{__name__}:") else load(path),
        )

    return plant


def test_every_field_and_the_plugin_are_listed():
    datasets, problems = all_datasets()
    assert problems == []
    assert {"letters", "mnist", "waves", "two_moons"} <= set(datasets)
    assert {each.field for each in datasets.values()} >= {"vision", "tabular"}
    for name, each in datasets.items():
        assert each.name == name
        assert each.description
        assert each.source


@pytest.mark.parametrize("value", [record(), [record()], (record(),), lambda: record(), lambda: [record()]])
def test_a_record_several_or_a_function_may_be_named(plant, value):
    plant(mine=value)
    datasets, problems = all_datasets()
    assert problems == []
    assert len(datasets["ramp"].load()) == 5


def fails():
    raise RuntimeError("no\nsuch thing")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (fails, "failed: RuntimeError: no such thing"),
        (3, "holds a int, expected lab.data.DatasetInfo"),
        ([record("other"), "letters"], "holds a str, expected lab.data.DatasetInfo"),
        (ramp, "failed: TypeError: ramp() missing 1 required"),
    ],
)
def test_a_broken_one_is_one_line_and_harms_no_neighbour(plant, value, message):
    plant(mine=record(), broken=value)
    datasets, (problem,) = all_datasets()
    assert problem.startswith("data sets 'broken' of stranger 1.0 are broken: ")
    assert message in problem
    assert "\n" not in problem
    assert {"ramp", "letters", "two_moons"} <= set(datasets)


def test_one_name_twice_is_nobodys_and_names_both(plant):
    plant(mine=record("letters"))
    datasets, (problem,) = all_datasets()
    assert "letters" not in datasets
    assert "digits" in datasets
    assert problem.startswith("data set 'letters' is in ")
    assert "torch-lab" in problem
    assert "stranger 1.0" in problem
    with pytest.raises(BadSetting, match=r"^name: data set 'letters' is in .* and .*; uninstall one of them$"):
        find_dataset("letters", ImageDataset)


def test_a_name_is_found_among_those_of_its_field():
    assert find_dataset("letters", ImageDataset).channels == 1
    with pytest.raises(BadSetting, match="name: 'two_moons' is a data set of tabular; expected one of digits, letters"):
        find_dataset("two_moons", ImageDataset)
    with pytest.raises(BadSetting, match="no data set 'two_moon'; did you mean 'two_moons'"):
        find_dataset("two_moon", DatasetInfo)


def test_options_are_those_of_the_reader(tmp_path):
    asked = []

    def read(split, size=3, max_rows=None):
        asked.append((split, size, max_rows))
        return Table({"x": torch.arange(max_rows or 9)})

    info = record(path=None)
    with pytest.raises(BadInput, match="ramp has no option 'size'; it has none"):
        info.load("train", size=3)
    info = DatasetInfo(name="r", field="f", description="d", source="s", origin="real", read=read)
    assert len(info.load("test", 4, size=2)) == 4
    with pytest.raises(BadInput, match="r has no option 'sice'; it has size, max_rows"):
        info.load("train", sice=3)
    assert asked == [("test", 2, 4)]
    assert record().load("train", 2)["x"].tolist() == [0.0, 1.0]


def test_what_is_missing_is_fetched_before_it_is_read(tmp_path):
    fetched = []
    info = record(path=tmp_path / "rows", fetch=lambda: fetched.append((tmp_path / "rows").write_text("")))
    assert not info.present
    info.load()
    info.load()
    assert len(fetched) == 1
    assert info.present


def test_classes_are_counted_by_name():
    info = record(classes=("no", "yes", "never"))
    assert info.counts(Table({"label": torch.tensor([1, 1, 0])})) == {"no": 1, "yes": 2, "never": 0}
    assert info.counts(Table({"x": torch.zeros(2)})) == {}


def test_the_commands_show_what_a_plugin_brings(plant, capsys, tmp_path, monkeypatch):
    from lab.cli import main

    monkeypatch.chdir(tmp_path)
    plant(broken=fails)

    def lab(*arguments):
        with pytest.raises(SystemExit) as leaving:
            main(arguments)
        return leaving.value.code, *capsys.readouterr()

    code, out, err = lab("data", "ls")
    assert code == 0
    assert any(line.split()[:3] == ["two_moons", "tabular", "2000"] for line in out.splitlines())
    assert [line for line in err.splitlines() if "broken" in line] == err.splitlines()
    assert len(err.splitlines()) == 1
    code, out, _ = lab("data", "show", "two_moons", "--json")
    found = json.loads(out)
    assert (code, found["rows"], found["counts"]) == (0, 1600, {"upper": 788, "lower": 812})
    assert [(each["column"], each["shape"], each["missing"]) for each in found["columns"]] == [
        ("points", [1600, 2], 0),
        ("label", [1600], 0),
    ]
    code, out, _ = lab("data", "show", "two_moons")
    assert code == 0
    assert "float32  1600 x 2" in out
    code, _, err = lab("data", "show", "two_moons", "--plot", "x.png")
    assert (code, err) == (2, "error: two_moons has no plot; leave --plot out\n")
