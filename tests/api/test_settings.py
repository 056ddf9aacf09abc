"""Overrides as Python has them."""

import doctest
import importlib
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
import torch

import lab
from lab.api import settings
from lab.api.settings import texts
from lab.errors import BadInput
from lab.recipe import load


class Color(Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0.95, 0.95),
        (1e-4, 1e-4),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (True, True),
        (None, None),
        ("0.95", "0.95"),
        ("text # with: yaml, {in} it", "text # with: yaml, {in} it"),
        ((64, 64), [64, 64]),
        (range(3), [0, 1, 2]),
        (np.arange(2), [0, 1]),
        (torch.tensor([0.5, 1.5]), [0.5, 1.5]),
        (torch.tensor(3), 3),
        (Path("/data/a b"), "/data/a b"),
        ({"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "nesterov": True}),
        (Color.RED, "RED"),
        (torch.float64, "torch.float64"),
        (torch.nn.Tanh, "torch.nn.modules.activation.Tanh"),
        (float("inf"), float("inf")),
    ],
)
def test_a_value_arrives_in_the_recipe(tmp_path, value, read):
    file = tmp_path / "recipe.yaml"
    file.write_text("task: ddpg\n")
    assert load(file, texts([{"model.x": value}])).model["x"] == read


def test_texts_stay_as_they_are_and_the_later_one_wins(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("task: ddpg\n")
    settings = texts(["model.gamma=0.9", {"model.gamma": 0.95, "seed": 3}, "seed=4"])
    recipe = load(file, settings)
    assert (recipe.model["gamma"], recipe.seed) == (0.95, 4)


def own():
    class Inner: ...

    return Inner


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0.95, r'expected "model.gamma=0.95" or \{"model.gamma": 0.95\}'),
        ({3: 0.95}, "expected a dotted key"),
        ({"model.lr=1": 0.95}, "expected a dotted key"),
        ({"model": {"lr": 0.1}}, r'write every setting with its own key: \{"model.lr": 0.1\}'),
        ({"model.net": torch.nn.Linear(1, 1)}, '"class_path": "torch.nn.modules.linear.Linear"'),
        ({"model.net": object()}, "a recipe cannot hold an object of builtins.object"),
        ({"model.net": own()}, "define it at the top of a module"),
        ({"model.net": lambda x: x}, "define it at the top of a module"),
    ],
)
def test_what_no_recipe_can_hold_is_refused(given, message):
    with pytest.raises(BadInput, match=message):
        texts([given])


def test_a_class_of_the_notebook_is_refused_with_the_way_out(monkeypatch):
    kind = type("Net", (), {"__module__": "__main__"})
    with pytest.raises(BadInput, match=r"write it into a file such as my_project.py, and give my_project.Net"):
        texts([{"model.net": kind}])


def test_the_example_is_true():
    assert doctest.testmod(importlib.import_module(settings.__name__)).failed == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: lab.load(3), r"^run 3: expected an id, its first digits, a name, 'last' or a result$"),
        (lambda: lab.resume(None), r"^run None: expected an id"),
        (lambda: lab.runs(last=-1), r"^last=-1: expected a whole number of 1 or more$"),
        (lambda: lab.runs(last="all"), r"^last='all': expected a whole number"),
        (lambda: lab.run({"task": "ddpg"}), r"^recipe {'task': 'ddpg'}: expected the path of a YAML file, or the name"),
        (lambda: lab.run(None, seeds=2), r"^recipe None: expected the path of a YAML file"),
        (
            lambda: lab.run("x", lr=0.1),
            r'^lr=0.1: no argument of run; a setting is given as "model.lr=0.1" or \{"model.lr"',
        ),
        (lambda: lab.run("x", seed=3), r"^seed=3: no argument of run; did you mean 'seeds'\?; a setting is given as"),
        (
            lambda: lab.run("x", overrides=["seed=3"]),
            r"^overrides=\['seed=3'\]: no argument of run; a setting is given as",
        ),
        (lambda: lab.tune("x", trials=5), r"^trials=5: no argument of tune; a setting is given as"),
        (lambda: lab.runs(limit=5), r"^limit=5: no argument of runs; it has experiment, last, uri$"),
        (lambda: lab.run("x", ["seed=3"]), r"^override \['seed=3'\]: of type list; expected"),
        (
            lambda: lab.compare(["a", "b"]),
            r"^expected names, ids or results, such as compare\(\"a\", \"b\"\); found a list$",
        ),
    ],
)
def test_an_argument_of_another_type_is_named(call, sentence):
    with pytest.raises(BadInput, match=sentence):
        call()


def test_a_function_of_another_library_is_named():
    for name, meant in (("train", "run"), ("fit", "run"), ("eval", "evaluate")):
        with pytest.raises(AttributeError, match=rf"no attribute '{name}'; did you mean lab.{meant}\?"):
            getattr(lab, name)
