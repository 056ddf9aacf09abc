"""What a space means, and what is wrong with it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from lab.study.plan.space import Choice, Range, combinations, identity, label, parse, ranges, settings


def test_each_kind_of_entry():
    dimensions, complaints = parse(
        {
            "model.lr": {"float": [1e-4, 1e-1], "log": True},
            "data.train_freq": {"int": [5, 50], "step": 5},
            "model.hidden": [[32], [64, 64]],
            "model.noise": {"gaussian": {"model.sigma": {"float": [0.1, 0.5]}}, "ornstein_uhlenbeck": None},
        }
    )
    assert complaints == []
    assert dimensions == (
        Range("model.lr", "float", 1e-4, 1e-1, True),
        Range("data.train_freq", "int", 5, 50, False, 5),
        Choice("model.hidden", ([32], [64, 64]), ((), ())),
        Choice(
            "model.noise",
            ("gaussian", "ornstein_uhlenbeck"),
            ((Range("model.sigma", "float", 0.1, 0.5),), ()),
        ),
    )
    assert list(ranges(dimensions)) == ["model.lr", "data.train_freq", "model.sigma"]


def test_a_trial_becomes_settings_and_a_branch_opens_only_its_own():
    dimensions, _ = parse(
        {
            "model.hidden": [[32], [64, 64]],
            "model.noise": {"gaussian": {"model.sigma": [0.1, 0.2]}, "none": {"model.lr": {"float": [0.1, 1]}}},
        }
    )
    chosen = {"model.hidden": "[64, 64]", "model.noise": "gaussian", "model.noise=gaussian/model.sigma": 0.2}
    assert settings(dimensions, FixedTrial(chosen)) == {
        "model.hidden": [64, 64],
        "model.noise": "gaussian",
        "model.sigma": 0.2,
    }
    other = {"model.hidden": "[32]", "model.noise": "none", "model.noise=none/model.lr": 0.5}
    assert settings(dimensions, FixedTrial(other)) == {"model.hidden": [32], "model.noise": "none", "model.lr": 0.5}


def test_a_grid_goes_through_every_combination_and_every_branch():
    dimensions, _ = parse({"a": [1, 2], "b": {"x": {"c": [1, 2, 3]}, "y": None}})
    found = [settings(dimensions, FixedTrial(entry)) for entry in combinations(dimensions)]
    assert found == [
        {"a": a, "b": b} | rest
        for a in (1, 2)
        for b, opened in (("x", [{"c": 1}, {"c": 2}, {"c": 3}]), ("y", [{}]))
        for rest in opened
    ]


@pytest.mark.parametrize(
    ("entry", "key", "message"),
    [
        ([], "k", "an empty list; give at least one value"),
        ([1, 1.0], "k", "the same value twice"),
        (3, "k", "expected a list of values, {float: [low, high]}, {int: [low, high]}, or value: space"),
        ({}, "k", "expected a list of values, {float: [low, high]}, {int: [low, high]}, or value: space"),
        ({"float": [1]}, "k.float", "expected [low, high], two numbers"),
        ({"int": [1, 2.5]}, "k.int", "expected [low, high], two whole numbers"),
        ({"float": [2, 1]}, "k.float", "the lower limit 2 is not below the upper limit 1"),
        ({"float": [0, 1], "log": True}, "k.float", "a logarithmic range begins above 0, found 0"),
        ({"float": [0, 1], "log": "yes"}, "k.log", "expected true or false"),
        ({"int": [1, 9], "step": 0}, "k.step", "expected a positive number, and not together with log"),
        ({"float": [0, 1], "logg": True}, "k.logg", "unknown key; float goes with log or step"),
        ({"a": 3}, "k.a", "expected the keys that vary under this value, or nothing"),
        ({"a": {"b": []}}, "k.a.b", "an empty list; give at least one value"),
    ],
)
def test_what_is_wrong_with_an_entry(entry, key, message):
    dimensions, complaints = parse({"k": entry})
    assert complaints == [(key, message)]
    assert dimensions == () or entry == {"a": 3} or entry == {"a": {"b": []}}


SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text(max_size=3)
VALUES = SCALARS | st.lists(SCALARS, max_size=3)


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_values_survive_being_a_category(values):
    unique = list({identity({"": value}): value for value in values}.values())
    dimensions, complaints = parse({"k": unique})
    assert complaints == []
    for value in unique:
        found = settings(dimensions, FixedTrial({"k": json.loads(json.dumps(label(value)))}))["k"]
        assert (found, type(found)) == (value, type(value))


@pytest.mark.slow
@given(st.recursive(VALUES, lambda inner: st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=8))
def test_no_entry_surprises_the_parser(entry):
    dimensions, complaints = parse({"k": entry})
    assert dimensions or complaints
    assert all(key.startswith("k") and "\n" not in message for key, message in complaints)
