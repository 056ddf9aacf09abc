"""The schema for editors accepts what the check accepts: every recipe here is valid, and wrong keys are not."""

import json
from pathlib import Path

import jsonschema
import pytest

from lab.cli.schema import file_schema, task_schema
from lab.errors import RecipeError
from lab.recipe import load
from lab.recipe.json_schema import keyword_schema, recipe_schema
from lab.recipe.signature import check
from tests.recipe.test_signature import Net

ROOT = Path(__file__).parents[2]
RECIPES = sorted([*ROOT.glob("recipes/*.yaml"), *ROOT.glob("plugins/*/**/recipes/*.yaml")])


def valid(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


def complaints(schema, data):
    data = json.loads(json.dumps(data))  # keys of YAML that are numbers are text in an editor
    return [
        f"{error.json_path}: {error.message}" for error in jsonschema.Draft202012Validator(schema).iter_errors(data)
    ]


@pytest.fixture(scope="module")
def schemas():
    made = {}

    def of(task):
        if task not in made:
            try:
                made[task] = valid(task_schema(task))
            except RecipeError as error:
                pytest.skip(str(error))
        return made[task]

    return of


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_valid_and_a_misspelt_key_is_not(path, schemas):
    recipe = load(path)
    resolved = recipe.resolved()
    task = resolved["task"]
    schema = schemas(task) if isinstance(task, str) else valid(file_schema(recipe))  # of the recipe's own classes
    assert complaints(schema, resolved) == []
    sections = {"model", "data", "trainer"} & resolved.keys()
    found = complaints(schema, {**resolved, **{name: {**resolved[name], f"no_such_{name}": 1} for name in sections}})
    assert all(any(f"no_such_{name}" in each for each in found) for name in sections)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"sede": 1}, "'sede'"),
        ({"seed": -1}, "$.seed"),
        ({"seed": "one"}, "$.seed"),
        ({"task": "sac"}, "$.task"),
        ({"model": {"gama": 0.9}}, "'gama'"),
        ({"model": {"gamma": 1.5}}, "$.model.gamma"),
        ({"model": {"gamma": "0.9"}}, "$.model.gamma"),
        ({"model": {"observation_size": 3}}, "'observation_size'"),  # given by the data
        ({"data": {"total_steps": 0}}, "$.data.total_steps"),
        ({"trainer": {"max_epoch": 3}}, "'max_epoch'"),
        ({"trainer": {"logger": True}}, "'logger'"),  # a recipe says it elsewhere
        ({"callbacks": [{"init_args": {}}]}, "$.callbacks"),
        ({"track": {"experimant": "a"}}, "$.track"),
    ],
)
def test_a_wrong_value_is_refused_at_its_key(change, where, schemas):
    schema = schemas("ddpg")
    assert any(where in each for each in complaints(schema, {"task": "ddpg", **change}))


def test_sections_may_be_empty_and_only_the_task_is_required(schemas):
    schema = schemas("ddpg")
    empty = dict.fromkeys(["model", "data", "trainer", "callbacks", "track", "start_from", "checkpoint"])
    assert complaints(schema, {"task": "ddpg", **empty}) == []
    assert complaints(schema, {})


def test_any_recipe():
    schema = valid(recipe_schema())
    assert complaints(schema, {"task": "ddpg", "model": {"anything": 1}}) == []
    assert complaints(schema, {"task": {"module": "a:B"}}) == []
    assert complaints(schema, {"task": "ddpg", "modle": {}})


def test_a_task_that_is_written_out(tmp_path, monkeypatch):
    (tmp_path / "my_project.py").write_text(
        "from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel\nfrom torch import nn\n"
        "class Model(BoringModel):\n"
        "    def __init__(self, width: int, net: nn.Module | None = None, act: type[nn.Module] = nn.ReLU):\n"
        "        super().__init__()\n"
    )
    monkeypatch.chdir(tmp_path)
    task = {"module": "my_project:Model", "data": "lightning.pytorch.demos.boring_classes:BoringDataModule"}
    file = tmp_path / "own.yaml"
    file.write_text(json.dumps({"task": task, "model": {"width": 3}, "trainer": {"max_epochs": 1}}))
    schema = valid(file_schema(load(file)))
    assert complaints(schema, {"task": task, "model": {"width": 3}}) == []
    described = {"class_path": "torch.nn.Flatten"}
    assert complaints(schema, {"task": task, "model": {"width": 3, "net": described, "act": "torch.nn.Tanh"}}) == []
    assert complaints(schema, {"task": task, "model": {"widht": 3}})
    assert complaints(schema, {"task": task, "model": {"width": "3"}})
    assert complaints(schema, {"task": task, "data": {"batch": 3}})
    assert complaints(schema, {"task": {**task, "moniter": "x"}})


# ------------------------------------------------------------------------------------------------- one class's keywords


def test_the_schema_holds_what_a_recipe_can_set():
    found = keyword_schema(Net)
    assert found["type"] == "object"
    assert found["additionalProperties"] is False
    assert found["required"] == ["env", "obs_shape"]
    assert found["properties"]["lr"] == {
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 1e-3,
        "description": "the step size: of Adam.",
    }
    assert found["properties"]["thing"]["anyOf"][0] == {"type": "string"}
    assert set(found["$defs"]) == {"Colour", "Size"}
    assert "env" not in keyword_schema(Net, without=["env"])["properties"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden", [8, "a"]),
        ("lr", 0),
        ("gamma", 2),
        ("batch", 3),
        ("act", "gelu"),
        ("colour", "green"),
        ("size", {"width": 0}),
        ("pair", [1]),
        ("names", []),
        ("steps", {1: -1}),
        ("nowhere", 1),
    ],
)
def test_check_and_schema_refuse_the_same(key, value):
    given = {"env": "a", "obs_shape": [3], key: value}
    assert check(Net, given, objects=True)[1]
    assert complaints(keyword_schema(Net), given)
