"""Constructors as schemas: what they accept, what they say, and that any class at all can be asked."""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
import torch
from annotated_types import Ge, Gt, Interval, Le, Len, MultipleOf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, Field

from lab.keywords import REQUIRED
from lab.recipe.signature import check, parameters

if TYPE_CHECKING:
    from nowhere import Unknown


SEVERAL = "; for several values: lab tune STUDY; for several seeds: --seeds N"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Size:
    """A size.

    Args:
        width: in pixels.
        height: in pixels.
    """

    width: Annotated[int, Ge(1)]
    height: int = 1


class Thing:
    """Nothing that YAML could say."""


def even(value: int) -> int:
    if value % 2:
        raise ValueError("Must be even")
    return value


class Net:
    """A net.

    Args:
        env: the environment's
            name.
        lr (float, optional): the step size: of Adam.
        hidden: sizes.

    Returns:
        width: not an argument.
    """

    def __init__(
        self,
        env: str,
        obs_shape: tuple[int, ...],
        lr: Annotated[float, Gt(0)] = 1e-3,
        gamma: Annotated[float, Le(1)] = 0.99,
        tau: Annotated[float, Interval(gt=0, le=1)] = 0.02,
        hidden: tuple[int, ...] = (64, 64),
        batch: Annotated[int, Field(ge=2, le=64), MultipleOf(2)] = 2,
        act: Literal["relu", "tanh"] = "relu",
        colour: Colour = Colour.RED,
        precision: Literal["16-mixed", "bf16-mixed"] = "16-mixed",
        size: Size | None = None,
        pair: tuple[int, int] = (1, 2),
        names: Annotated[list[str], Len(1)] = ("a",),  # type: ignore[assignment]
        steps: dict[int, Annotated[float, Ge(0)]] = {},  # noqa: B006
        root: Path | None = None,
        wait: timedelta | None = None,
        many: Iterable[int] = (),
        devices: int | list[int] = 1,
        even: Annotated[int, AfterValidator(even)] = 0,
        limit: int = None,  # type: ignore[assignment]  # noqa: RUF013  as many a project writes it
        thing: Thing | str = "a",
        other: Thing | None = None,
        function: Callable[[int], str] | None = None,
        cls: type[Thing] = Thing,
        later: Unknown = 1,
        bare=1,
    ) -> None: ...


def accepted(values: dict[str, Any], target: Any = Net) -> dict[str, Any]:
    made, complaints = check(target, values, partial=True)
    assert complaints == []
    return made


def complaint(key: str, value: Any, target: Any = Net) -> str:
    made, complaints = check(target, {key: value}, partial=True)
    assert made == {}
    return "; ".join(": ".join(pair) for pair in complaints)


@pytest.mark.parametrize(
    ("key", "value", "made"),
    [
        *[("lr", 1, 1.0), ("lr", 1e-4, 1e-4), ("gamma", 1, 1.0), ("hidden", [1, 2], (1, 2)), ("pair", [3, 4], (3, 4))],
        *[("batch", 64, 64), ("act", "tanh", "tanh"), ("colour", "blue", Colour.BLUE), ("size", None, None)],
        *[("size", {"width": 2}, Size(2)), ("names", ["x"], ["x"]), ("steps", {4: 8}, {4: 8.0})],
        *[("root", "a/b", Path("a/b")), ("wait", "01:00:00", timedelta(hours=1)), ("many", [1, 2], [1, 2])],
        *[("devices", 2, 2), ("devices", [0, 1], [0, 1]), ("even", 4, 4), ("limit", None, None), ("thing", "b", "b")],
        *[("other", None, None), ("function", None, None), ("later", {4: [1]}, {4: [1]}), ("bare", "x", "x")],
    ],
)
def test_what_passes_and_as_what(key: str, value: Any, made: Any) -> None:
    result = accepted({key: value})[key]
    assert result == made
    assert type(result) is type(made)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("env", 3, "expected text, found 3"),
        ("lr", "3", "expected a number above 0, found '3'"),
        ("lr", True, "expected a number above 0, found true"),
        ("lr", None, "expected a number above 0, found null"),
        ("lr", 0, "expected a number above 0, found 0"),
        ("lr", math.nan, "expected a finite number above 0, found .nan"),
        ("gamma", 1.5, "expected a number at most 1, found 1.5"),
        ("gamma", -math.inf, "expected a finite number at most 1, found -.inf"),
        ("tau", 2, "expected a number above 0 and at most 1, found 2"),
        ("batch", 128, "expected a whole number from 2 to 64 and divisible by 2, found 128"),
        ("batch", 3, "expected a whole number from 2 to 64 and divisible by 2, found 3"),
        ("batch", 4.0, "expected a whole number from 2 to 64 and divisible by 2, found 4.0; write 4"),
        ("batch", 1e300, "expected a whole number from 2 to 64 and divisible by 2, found 1e+300"),
        ("limit", 1e6, "expected a whole number or null, found 1000000.0; write 1000000"),
        ("limit", "1_000_000", "expected a whole number or null, found '1_000_000'; write 1000000"),
        ("limit", "20k", "expected a whole number or null, found '20k'; write 20000"),
        (
            "lr",
            "1e-3,1e-4",
            "expected a number above 0, found '1e-3,1e-4'" + SEVERAL,
        ),
        (
            "lr",
            [0.1, 0.2],
            "expected a number above 0, found [0.1, 0.2]" + SEVERAL,
        ),
        ("hidden", 64, "expected a list of whole numbers, found 64; write [64]"),
        ("hidden", "64, 64", "expected a list of whole numbers, found '64, 64'; write [64, 64]"),
        ("precision", "fp16", "expected '16-mixed' or 'bf16-mixed', found 'fp16'; did you mean '16-mixed'?"),
        ("pair", [1, 2, 3], "expected a list of 2 (a whole number, a whole number), found [1, 2, 3]"),
        ("act", "rleu", "expected 'relu' or 'tanh', found 'rleu'; did you mean 'relu'?"),
        ("colour", "bleu", "expected 'red' or 'blue', found 'bleu'; did you mean 'blue'?"),
        ("names", [], "expected a list of texts with at least 1 item, found []"),
        ("root", 3, "expected a Path or null, found 3"),
        ("devices", "all", "expected a whole number or a list of whole numbers, found 'all'"),
        ("even", 3, "must be even, found 3"),
        ("limit", "x", "expected a whole number or null, found 'x'"),
        ("thing", 3, "expected text, found 3"),
        ("thing", {"a": 1}, "expected text, found {'a': 1}"),
        ("size", 3, "expected a mapping with width, height or null, found 3"),
        ("size", "width:3", "expected a mapping with width, height or null, found 'width:3'; write {width: 3}"),
        ("other", "x", "cannot be set from a recipe (it takes Thing | None)"),
        ("function", "print", "cannot be set from a recipe (it takes Callable | None)"),
        ("cls", "Thing", "cannot be set from a recipe (it takes type[Thing])"),
        ("lrr", 1, "unknown key 'lrr'; did you mean 'lr'?"),
    ],
)
def test_what_is_refused_and_how(key: str, value: Any, message: str) -> None:
    assert complaint(key, value) == f"{key}: {message}"


def test_the_wrong_part_of_a_value_is_named() -> None:
    assert complaint("hidden", [1, "a", True]) == (
        "hidden.1: expected a whole number, found 'a'; hidden.2: expected a whole number, found true"
    )
    assert complaint("devices", [0, "a"]) == "devices.1: expected a whole number, found 'a'"
    assert complaint("many", [0.5]) == "many.0: expected a whole number, found 0.5"
    assert complaint("steps", {4: -1}) == "steps.4: expected a number at least 0, found -1"
    assert complaint("steps", {"x": 1}) == "steps.x: as a key expected a whole number, found 'x'"
    assert complaint("size", {"widht": 1}) == (
        "size.widht: unknown key 'widht'; did you mean 'width'?; "
        "size.width: missing; expected a whole number at least 1: in pixels"
    )
    assert complaint("size", {"width": 0}) == "size.width: expected a whole number at least 1, found 0"


def test_long_values_are_shortened() -> None:
    assert len(complaint("lr", "x" * 1000)) < 120


@pytest.mark.slow
def test_a_list_that_is_wrong_all_through_is_not_gone_through() -> None:
    values = {"hidden": ["x"] * 9000, "steps": {f"k{i}": -1 for i in range(9000)}}
    made, complaints = check(Net, values, partial=True)
    assert made == {}
    assert [key for key, _ in complaints[:20]] == [f"hidden.{i}" for i in range(20)]
    assert complaints[20] == ("hidden", "more than 20 of its values are wrong")
    assert complaints[-1] == ("steps", "more than 20 of its values are wrong")
    assert len(complaints) == 42
    assert len(check(Net, {"hidden": ["x"] * 20}, partial=True)[1]) == 20


def test_a_required_value_that_yaml_cannot_say() -> None:
    def function(thing: Thing | type[Thing]) -> None: ...

    assert check(function, {})[1] == [("thing", "missing; expected a Thing or the dotted name of a class (a Thing)")]


def test_mappings_with_one_type_and_methods_written_in_c() -> None:
    def function(counts: Counter[str], other: int = 0) -> None: ...

    assert check(function, {}, objects=True)[1] == [("counts", "missing; expected a mapping")]
    assert check(function, {"counts": {"a": 1}}, objects=True) == ({"counts": {"a": 1}}, [])

    assert check(torch._C.Graph, {}, partial=True, objects=True) == ({}, [])  # its constructor cannot be hashed


def test_unknown_keys_without_a_near_one_list_the_known() -> None:
    assert complaint("zzz", 1, Size) == "zzz: unknown key 'zzz'; known keys: width, height"
    assert complaint("zzz", 1, Thing) == "zzz: unknown key 'zzz'; known keys: none"
    assert check(Size, {4: 1, "width": 1})[1] == [("4", "unknown key 4; known keys: width, height")]  # type: ignore[dict-item]


def test_missing_keys_say_what_they_are() -> None:
    assert check(Net, {})[1] == [
        ("env", "missing; expected text: the environment's name"),
        ("obs_shape", "missing; expected a list of whole numbers"),
    ]
    assert check(Net, {}, partial=True) == ({}, [])


def test_given_keywords_are_neither_required_nor_allowed() -> None:
    assert check(Net, {"env": "x"}, given=("obs_shape", "elsewhere")) == ({"env": "x"}, [])
    made, complaints = check(Net, {"env": "x", "obs_shape": [1]}, given=("obs_shape",))
    assert made == {"env": "x"}
    assert complaints == [("obs_shape", "filled in by lab; a recipe cannot set it")]
    assert "obs_shape" not in check(Net, {"zzz": 1}, given=("obs_shape",))[1][0][1]


def test_all_complaints_come_together_and_the_good_values_too() -> None:
    made, complaints = check(Net, {"env": "x", "lr": -1, "gamma": 2, "bare": 3})
    assert made == {"env": "x", "bare": 3}
    assert [key for key, _ in complaints] == ["lr", "gamma", "obs_shape"]


def test_functions_inherited_constructors_and_open_ones() -> None:
    class Child(Net):
        """Without a constructor of its own."""

    class Open:
        def __init__(self, lr: float = 1.0, *rest: int, **more: Any) -> None: ...

    def function(size: int, /, width: int, *, height: float = 1) -> None: ...

    assert complaint("lr", -1, Child) == "lr: expected a number above 0, found -1"
    assert complaint("lr", -1, Net.__init__) == "lr: expected a number above 0, found -1"
    assert accepted({"lr": 2, "anything": {4: 1}}, Open) == {"lr": 2.0, "anything": {4: 1}}
    assert complaint("lr", "x", Open) == "lr: expected a number, found 'x'"
    assert check(function, {"size": 3, "width": 1, "height": 2}) == ({"size": 3, "width": 1, "height": 2.0}, [])
    assert complaint("self", 1, Net.__init__).startswith("self: unknown key")
    assert check(dict, {"a": 1}) == ({"a": 1}, [])


def test_constructors_without_annotations_take_what_they_are_given() -> None:
    class Plain:
        def __init__(self, a, b=2): ...

    assert check(Plain, {"a": {4: [None]}}) == ({"a": {4: [None]}}, [])
    assert check(Plain, {"b": 1})[1] == [("a", "missing; expected a value")]


def test_parameters_are_what_the_signature_and_the_docstring_say() -> None:
    found = {parameter.name: parameter for parameter in parameters(Net, given=("obs_shape",))}
    assert list(found)[:3] == ["env", "obs_shape", "lr"]
    assert (found["env"].type, found["env"].default, found["env"].meaning) == (
        "str",
        REQUIRED,
        "the environment's name.",
    )
    assert (found["lr"].type, found["lr"].default, found["lr"].range) == ("float", 1e-3, "> 0")
    assert found["lr"].meaning == "the step size: of Adam."
    assert (found["obs_shape"].given, found["env"].given) == (True, False)
    assert found["batch"].range == ">= 2, <= 64, multiple of 2"
    assert found["names"].range == "length >= 1"
    assert found["size"].meaning == ""
    assert {name: found[name].type for name in ("act", "hidden", "root", "steps", "function", "bare", "later")} == {
        "act": "'relu' | 'tanh'",
        "hidden": "tuple[int, ...]",
        "root": "Path | None",
        "steps": "dict[int, float]",
        "function": "Callable | None",
        "bare": "Any",
        "later": "Any",
    }


def test_meanings_are_inherited_and_found_in_the_constructor() -> None:
    class Parent:
        """A parent.

        Args:
            a: first.
            b: second.
        """

    class Child(Parent):
        def __init__(self, a: int, b: int, c: int) -> None:
            """Make one.

            Args:
                b: better.
                c: third.
            """

    assert [parameter.meaning for parameter in parameters(Child)] == ["first.", "better.", "third."]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([parameter.name for parameter in parameters(Net)]) | st.text(max_size=4)


@pytest.mark.slow
@settings(max_examples=50)
@given(st.dictionaries(names, plain, max_size=4))
def test_each_value_is_either_made_or_complained_about(values: dict[str, Any]) -> None:
    made, complaints = check(Net, values, partial=True)
    refused = {key for key in values if any(f"{about}.".startswith(f"{key}.") for about, _ in complaints)}
    assert made.keys() | refused == values.keys()
    assert not made.keys() & {about for about, _ in complaints}
    assert all(message.isprintable() for _, message in complaints)


@pytest.mark.slow
@given(st.floats() | st.integers())
def test_a_range_lets_through_exactly_its_finite_numbers(value: float) -> None:
    fine = math.isfinite(value) and 0 < value <= 1
    assert (check(Net, {"tau": value}, partial=True)[1] == []) is fine


# ------------------------------------------------------------------------------------------ the classes that come first


@pytest.mark.slow
def test_lightnings_trainer() -> None:
    from lightning.pytorch import Trainer

    given = ("logger", "callbacks")
    for target in (Trainer, Trainer.__init__):
        good = {"max_epochs": 3, "precision": "32-true", "devices": 1, "strategy": "ddp", "limit_train_batches": 0.5}
        assert check(target, good, given=given) == (good, [])
        assert accepted({"max_time": {"hours": 1}, "devices": [0], "profiler": None}, target)
        wrong = {"acelerator": "cpu", "max_epochs": "3", "gradient_clip_val": True, "logger": False, "plugins": "x"}
        assert [": ".join(pair) for pair in check(target, wrong, given=given)[1]] == [
            "acelerator: unknown key 'acelerator'; did you mean 'accelerator'?",
            "max_epochs: expected a whole number or null, found '3'",
            "gradient_clip_val: expected a number or null, found true",
            "logger: filled in by lab; a recipe cannot set it",
            "plugins: cannot be set from a recipe (it takes Precision | ClusterEnvironment | CheckpointIO | LayerSync "
            "| list[Precision | ClusterEnvironment | CheckpointIO | LayerSync] | None)",
        ]
    assert complaint("precision", 33, Trainer).startswith("precision: expected 64, 32, 16, 'transformer-engine', ")
    assert complaint("max_time", {"hours": "x"}, Trainer) == "max_time.hours: expected a whole number, found 'x'"
    assert all(parameter.meaning for parameter in parameters(Trainer))


@pytest.mark.slow
def test_lightnings_callbacks() -> None:
    from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

    good = {"monitor": "loss", "save_last": "link", "dirpath": "a", "every_n_epochs": 2}
    assert check(ModelCheckpoint, good) == (good, [])
    assert accepted({"train_time_interval": "01:00:00"}, ModelCheckpoint)["train_time_interval"] == timedelta(hours=1)
    assert check(EarlyStopping, {"patience": "3"})[1] == [
        ("patience", "expected a whole number, found '3'"),
        ("monitor", "missing; expected text: quantity to be monitored"),
    ]


@pytest.mark.slow
def test_classes_of_torch_and_torchvision() -> None:
    import torch
    import torchvision

    assert accepted({"size": [3, 4], "antialias": True}, torchvision.transforms.Resize)
    assert accepted({"num_classes": 3, "weights": None}, torchvision.models.resnet18)
    assert accepted({"betas": [0.9, 0.999], "lr": 1}, torch.optim.Adam)["betas"] == (0.9, 0.999)
    assert complaint("out_feature", 1, torch.nn.Linear) == (
        "out_feature: unknown key 'out_feature'; did you mean 'out_features'?"
    )
