"""Objects, classes, functions and partials in a recipe: what is made of them, and what is refused before any call."""

# ruff: noqa: ARG002, E501
from __future__ import annotations

import argparse
import functools
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Optional, Protocol, TypeVar, Union

import pytest
import torch
import torchmetrics
import torchvision
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, StepLR

from lab.keywords import call, keywords
from lab.recipe.objects import ConstructionError, construct
from lab.recipe.signature import check

if TYPE_CHECKING:
    from torchvision.transforms import Resize
    from torchvision.transforms import v2 as transforms

LINEAR = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 2, "out_features": 1}}
RELU = {"class_path": "torch.nn.ReLU"}
MEAN = {"class_path": "torchmetrics.MeanMetric"}
STEP = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}
M = TypeVar("M", bound=nn.Module)


@dataclass
class Inner:
    net: nn.Module | None = None
    lr: float = 0.1

    @classmethod
    def fast(cls) -> Inner:
        return cls(lr=1.0)


@dataclass
class Config:
    lr: float
    layers: list[int] = field(default_factory=list)
    inner: Inner | None = None


class Plain:
    """A class of a project, of no family."""

    def __init__(self, size: int = 1) -> None:
        self.size = size


class Small(Plain):
    """Its subclass."""


class Scorer(Protocol):
    def __call__(self, x: Tensor) -> Tensor: ...


def make_net(width: int = 2) -> nn.Module:
    return nn.Linear(width, 1)


def record() -> Inner:
    raise AssertionError("it may do anything before it returns a dataclass, such as delete a file")


def unsaid(width: int = 2):  # type: ignore[no-untyped-def]
    return nn.Linear(width, 1)


class Shapes(nn.Module):
    """The shapes that constructors of public projects have."""

    def __init__(
        self,
        net: nn.Module,
        backbone: Union[str, nn.Module] = "small",  # noqa: UP007
        loss: Optional[nn.Module] = None,  # noqa: UP045
        optimizer: OptimizerCallable = SGD,
        scheduler: LRSchedulerCallable | None = None,
        hydra_optimizer: torch.optim.Optimizer = None,  # type: ignore[assignment]
        hydra_scheduler: torch.optim.lr_scheduler = None,  # type: ignore[valid-type]
        partial: Optimizer | functools.partial | None = None,  # type: ignore[type-arg]
        act: type[nn.Module] = nn.ReLU,
        any_class: type | None = None,
        name_or_class: str | type[nn.Module] = "relu",
        function: Callable[[Tensor], Tensor] | None = None,
        norm: Callable[..., nn.Module] = nn.BatchNorm2d,
        bare: Callable | None = None,  # type: ignore[type-arg]
        old: callable = None,  # type: ignore[valid-type]  # noqa: RUF013
        layers: list[nn.Module] = [],  # noqa: B006
        pair: tuple[int, nn.Module] | None = None,
        metrics: torchmetrics.Metric | Sequence[torchmetrics.Metric] | dict[str, torchmetrics.Metric] | None = None,
        several: Iterable[nn.Module] = (),
        config: Config | None = None,
        records: list[Inner] = [],  # noqa: B006
        plain: Plain | None = None,
        weight: Tensor | None = None,
        weights: torchvision.models.ResNet18_Weights | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
        namespace: argparse.Namespace | None = None,
        mode: Literal["a", "b"] | nn.Module = "a",
        later: Resize | None = None,
        later_module: transforms.Transform | None = None,
        unknown: Nowhere | None = None,  # type: ignore[name-defined]  # noqa: F821
        scorer: Scorer | None = None,
        bound: M | None = None,  # type: ignore[valid-type]
        settings: dict[str, Any] = {},  # noqa: B006
        bare_settings: dict = {},  # type: ignore[type-arg]  # noqa: B006
        count: int | None = None,
        cfg=None,
        criterion=nn.MSELoss(),  # noqa: B008
        helper=Plain(),  # noqa: B008
        make=unsaid,
    ) -> None:
        super().__init__()


def made(key: str, value: Any, target: Any = Shapes) -> Any:
    accepted, complaints = check(target, {key: value}, partial=True, objects=True)
    assert complaints == []
    return construct(accepted)[key]


def complaint(key: str, value: Any, target: Any = Shapes) -> str:
    accepted, complaints = check(target, {key: value}, partial=True, objects=True)
    assert accepted == {}
    return "; ".join(": ".join(pair) for pair in complaints)


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        *[
            ("net", LINEAR, nn.Linear),
            ("backbone", LINEAR, nn.Linear),
            ("loss", RELU, nn.ReLU),
            ("loss", None, type(None)),
        ],
        ("net", {"class_path": "torch.nn:Linear", "init_args": {"in_features": 2, "out_features": 1}}, nn.Linear),
        ("net", {"class_path": "torch.nn.ReLU", "init_args": None, "partial": False}, nn.ReLU),
        ("net", {"class_path": "test_objects.make_net", "init_args": {"width": 3}}, nn.Linear),
        (
            "net",
            {"class_path": "torchvision.models.resnet18", "init_args": {"weights": None}},
            torchvision.models.ResNet,
        ),
        ("backbone", "large", str),
        *[("optimizer", STEP, functools.partial), ("optimizer", STEP | {"partial": True}, functools.partial)],
        (
            "scheduler",
            {"class_path": "torch.optim.lr_scheduler.StepLR", "init_args": {"step_size": 1}},
            functools.partial,
        ),
        *[
            ("hydra_optimizer", STEP | {"partial": True}, functools.partial),
            ("partial", STEP | {"partial": True}, functools.partial),
        ],
        ("partial", {"class_path": "torch.optim.SGD", "partial": True}, functools.partial),
        (
            "hydra_scheduler",
            {"class_path": "torch.optim.lr_scheduler.StepLR", "init_args": {"step_size": 1}, "partial": True},
            functools.partial,
        ),
        ("function", RELU, nn.ReLU),
        (
            "function",
            {"class_path": "torch.nn.functional.softmax", "init_args": {"dim": 1}, "partial": True},
            functools.partial,
        ),
        ("norm", {"class_path": "torch.nn.GroupNorm", "init_args": {"num_groups": 2}}, functools.partial),
        ("old", RELU, nn.ReLU),
        ("bare", {"class_path": "torchvision.transforms.ToTensor"}, torchvision.transforms.ToTensor),
        *[
            ("metrics", MEAN, torchmetrics.MeanMetric),
            ("config", {"lr": 1}, Config),
            ("plain", {"init_args": {}}, Plain),
        ],
        ("plain", {"class_path": "test_objects.Small", "init_args": {"size": 2}}, Small),
        *[("mode", "b", str), ("mode", RELU, nn.ReLU), ("bound", RELU, nn.ReLU), ("scorer", RELU, nn.ReLU)],
        *[("weight", [1, 2.5], Tensor), ("dtype", "float64", torch.dtype), ("dtype", "torch.int8", torch.dtype)],
        *[("device", "cpu", str), ("weights", "IMAGENET1K_V1", torchvision.models.ResNet18_Weights)],
        ("namespace", {"lr": 0.1}, argparse.Namespace),
        (
            "later",
            {"class_path": "torchvision.transforms.Resize", "init_args": {"size": 2}},
            torchvision.transforms.Resize,
        ),
        ("unknown", RELU, nn.ReLU),
        *[("cfg", RELU, nn.ReLU), ("cfg", {"lr": 0.1}, dict), ("cfg", [RELU], list), ("cfg", "torch.nn.ReLU", str)],
        ("cfg", {"class_path": "types.SimpleNamespace", "init_args": {"lr": 0.1}}, types.SimpleNamespace),
        ("cfg", STEP | {"partial": True}, functools.partial),
        ("cfg", {"class_path": "test_objects.Config", "init_args": {"lr": 1}}, Config),
        ("cfg", {"class_path": "torch.nn.functional.mse_loss", "partial": True}, types.FunctionType),
        ("criterion", {"class_path": "torch.nn.L1Loss"}, nn.L1Loss),
        ("helper", {"class_path": "test_objects.Small"}, Small),
        ("make", {"class_path": "test_objects.make_net", "partial": True}, types.FunctionType),
    ],
)
def test_what_a_value_becomes(key: str, value: Any, kind: type) -> None:
    assert type(made(key, value)) is kind


def test_classes_and_functions_are_given_themselves() -> None:
    assert made("act", "torch.nn.GELU") is nn.GELU
    assert made("act", {"class_path": "torch.nn.GELU"}) is nn.GELU
    assert made("name_or_class", "torch.nn.GELU") == "torch.nn.GELU"  # text is taken as text where it may be
    assert made("name_or_class", {"class_path": "torch.nn.GELU"}) is nn.GELU
    assert made("any_class", "torch.nn.GELU") is nn.GELU
    assert made("optimizer", "torch.optim.SGD") is SGD
    assert made("optimizer", {"class_path": "torch.optim.SGD"}) is SGD
    assert made("cfg", {"class_path": "torch.optim.SGD", "partial": True}) is SGD
    assert made("bare", "torch.nn.functional.gelu") is nn.functional.gelu
    assert made("function", {"class_path": "torch.relu", "partial": True}) is torch.relu


def test_partials_wait_for_the_rest() -> None:
    layer = nn.Linear(1, 1)
    optimizer = made("optimizer", STEP)(layer.parameters())
    assert isinstance(optimizer, SGD)
    assert optimizer.defaults["lr"] == 0.1
    schedule = made("scheduler", {"class_path": "torch.optim.lr_scheduler.StepLR", "init_args": {"step_size": 3}})(
        optimizer
    )
    assert isinstance(schedule, StepLR)
    assert isinstance(schedule, LRScheduler)
    leaky = made("act", {"class_path": "torch.nn.LeakyReLU", "init_args": {"negative_slope": 0.3}, "partial": True})
    assert leaky().negative_slope == 0.3


def test_containers_keep_their_kind() -> None:
    layers = made("layers", [LINEAR, RELU])
    assert [type(layer) for layer in layers] == [nn.Linear, nn.ReLU]
    pair = made("pair", [3, RELU])
    assert (type(pair), pair[0], type(pair[1])) == (tuple, 3, nn.ReLU)
    assert [type(metric) for metric in made("metrics", [MEAN, MEAN])] == [torchmetrics.MeanMetric] * 2
    assert {name: type(metric) for name, metric in made("metrics", {"a": MEAN}).items()} == {
        "a": torchmetrics.MeanMetric
    }
    assert [type(each) for each in made("several", [RELU])] == [nn.ReLU]
    assert type(made("cfg", {"a": [{"b": RELU}]})["a"][0]["b"]) is nn.ReLU
    assert type(made("settings", {"net": RELU, "lr": 0.1})["net"]) is nn.ReLU
    assert made("bare_settings", {"a": 1, "b": [2]}) == {"a": 1, "b": [2]}


def test_objects_within_objects() -> None:
    sequential = {"class_path": "torch.nn.Sequential", "init_args": {"args": [LINEAR, RELU]}}
    net = made("net", sequential)
    assert [type(layer) for layer in net] == [nn.Linear, nn.ReLU]
    modules = {"class_path": "torch.nn.ModuleDict", "init_args": {"modules": {"a": sequential}}}
    assert type(made("net", modules)["a"][1]) is nn.ReLU
    config = made("config", {"lr": 1, "inner": {"net": RELU}})
    assert (type(config.inner), type(config.inner.net)) == (Inner, nn.ReLU)
    assert [type(each.net) for each in made("records", [{"net": RELU}, {"lr": 0.2}])] == [nn.ReLU, type(None)]
    assert made(
        "net", {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {"weight": [1.0, 2.0]}}
    ).weight.tolist() == [1, 2]


def test_two_objects_of_one_description_are_two() -> None:
    first, second = made("layers", [LINEAR, LINEAR])
    assert first is not second


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "net",
            "torch.nn.ReLU",
            "net: expected a Module, found 'torch.nn.ReLU'; an object is written {class_path: ..., init_args: {...}}",
        ),
        (
            "net",
            {"in_features": 2},
            "net: expected a Module, found {'in_features': 2}; an object is written {class_path: ..., init_args: {...}}",
        ),
        (
            "net",
            {"class_path": "torch.optim.SGD"},
            "net.class_path: 'torch.optim.sgd.SGD' is a class; expected a subclass of torch.nn.modules.module.Module",
        ),
        (
            "act",
            {"class_path": "torch.nn.LeakyReLU", "init_args": {"negative_slope": 0.3}},
            "act.class_path: 'torch.nn.modules.activation.LeakyReLU' is a class, which the parameter takes itself; "
            "leave out init_args, or add `partial: true`",
        ),
        (
            "net",
            {"class_path": "torch.nn.Linaer"},
            "net.class_path: module 'torch.nn' has no 'Linaer'; did you mean 'Linear'?",
        ),
        ("net", {"class_path": 3}, "net.class_path: expected the dotted name of a class or a function, found 3"),
        (
            "net",
            {"class_path": "torch.nn.ReLU", "init_arg": {}},
            "net.init_arg: unknown key 'init_arg'; did you mean 'init_args'?",
        ),
        (
            "net",
            {"class_path": "torch.nn.ReLU", "inplace": True},
            "net.inplace: unknown key 'inplace'; arguments stand under `init_args`",
        ),
        ("net", {"class_path": "torch.nn.ReLU", "init_args": [1]}, "net.init_args: expected a mapping, found [1]"),
        ("net", {"class_path": "torch.nn.ReLU", "partial": "yes"}, "net.partial: expected true or false, found 'yes'"),
        (
            "net",
            {"class_path": "torch.nn.Linear", "init_args": {"in_feature": 2, "out_features": "1"}},
            "net.init_args.in_feature: unknown key 'in_feature'; did you mean 'in_features'?; "
            "net.init_args.out_features: expected a whole number, found '1'; "
            "net.init_args.in_features: missing; expected a whole number: size of each input sample",
        ),
        (
            "net",
            {"_target_": "torch.nn.ReLU", "inplace": True},
            "net._target_: this is Hydra's syntax; write {class_path: torch.nn.ReLU, init_args: {...}}",
        ),
        (
            "optimizer",
            {"_target_": "torch.optim.SGD", "_partial_": True},
            "optimizer._target_: this is Hydra's syntax; write {class_path: torch.optim.SGD, partial: true}",
        ),
        (
            "net",
            {"class_path": "test_objects.unsaid"},
            "net.class_path: 'test_objects.unsaid' is a function that does not say what it returns; name a class, or add its return type",
        ),
        (
            "layers",
            [RELU, 3],
            "layers.1: expected a Module, found 3; an object is written {class_path: ..., init_args: {...}}",
        ),
        ("layers", RELU, "layers: expected a list of a Module, found {'class_path': 'torch.nn.ReLU'}"),
        ("pair", [1], "pair: expected a list of 2 (a whole number, a Module) or null, found [1]"),
        (
            "pair",
            [1, RELU, 2],
            "pair: expected a list of 2 (a whole number, a Module) or null, found [1, {'class_path': 'torch.nn.ReLU'}, 2]",
        ),
        (
            "metrics",
            {"a": RELU},
            "metrics.a.class_path: 'torch.nn.modules.activation.ReLU' is a class; expected a subclass of torchmetrics.metric.Metric",
        ),
        (
            "act",
            "torch.optim.SGD",
            "act: 'torch.optim.SGD' is a class; expected a subclass of torch.nn.modules.module.Module",
        ),
        ("act", "relu", "act: expected the dotted name of a class (a Module), found 'relu'"),
        (
            "optimizer",
            "torch.nn.ReLU",
            "optimizer: 'torch.nn.ReLU' is a class; expected a class or a function that returns torch.optim.optimizer.Optimizer",
        ),
        (
            "function",
            "torch.nn.ReLU",
            "function: 'torch.nn.ReLU' is a class; expected a class or a function that returns torch.Tensor; for an object of it write {class_path: torch.nn.ReLU}",
        ),
        (
            "bare",
            {"class_path": "torch.optim.SGD"},
            "bare.class_path: 'torch.optim.sgd.SGD' is a class whose objects cannot be called; add `partial: true`, or name another class",
        ),
        (
            "config",
            {"lr": "x", "layer": [1]},
            "config.lr: expected a number, found 'x'; config.layer: unknown key 'layer'; did you mean 'layers'?",
        ),
        (
            "config",
            {"lr": 1, "inner": {"net": {"class_path": "torch.optim.SGD"}}},
            "config.inner.net.class_path: 'torch.optim.sgd.SGD' is a class; expected a subclass of torch.nn.modules.module.Module",
        ),
        ("weights", "V9", "weights: expected one of IMAGENET1K_V1, DEFAULT, found 'V9'"),
        ("dtype", "float", "dtype: "),
        (
            "count",
            LINEAR,
            "count: expected a whole number or null, found {'class_path': 'torch.nn.Linear', 'init_args': {'in_featu...",
        ),
        (
            "later",
            RELU,
            "later.class_path: 'torch.nn.modules.activation.ReLU' is a class; expected a subclass of torchvision.transforms.transforms.Resize",
        ),
        (
            "later_module",
            RELU,
            "later_module.class_path: 'torch.nn.modules.activation.ReLU' is a class; expected a subclass of torchvision.transforms.v2._transform.Transform",
        ),
        (
            "cfg",
            {"a": {"_target_": "torch.hub.load"}},
            "cfg.a._target_: 'torch.hub.load' is a function that loads, changes or runs modules; name a class",
        ),
        (
            "cfg",
            {"class_path": "test_objects.Plain"},
            "cfg.class_path: 'test_objects.Plain' is a class; where no type says so only ",
        ),
        (
            "settings",
            {"a": {"_target_": "lab.imports.load_object"}},
            "settings.a._target_: 'lab.imports.load_object' is a function",
        ),
    ],
)
def test_what_is_refused_and_how(key: str, value: Any, message: str) -> None:
    if key == "dtype":
        value = "flaot32"
        message = "dtype: expected a dtype such as float32, found 'flaot32'"
    assert complaint(key, value).startswith(message)


def test_configurations_for_hydra_are_checked_and_left_as_they_are() -> None:
    config = {"net": {"_target_": "torch.nn.Linear", "in_features": 2}, "lr": 0.1}
    for key in ("cfg", "settings", "bare_settings"):
        assert made(key, config) == config


@pytest.mark.parametrize(
    "path",
    [
        "subprocess.Popen",
        "os:system",
        "torch:os.system",
        "builtins.exec",
        "pathlib.Path.unlink",
        "torch.utils.data.dataset:Path",
    ],
)
@pytest.mark.parametrize(
    "key", ["net", "act", "bare", "function", "norm", "cfg", "optimizer", "plain", "unknown", "helper"]
)
def test_nothing_of_the_standard_library_is_taken(key: str, path: str) -> None:
    for value in (
        {"class_path": path},
        {"class_path": path, "init_args": {"args": ["ls"]}},
        {"class_path": path, "partial": True},
    ):
        assert complaint(key, value)
    if key in ("act", "bare", "function", "norm", "optimizer"):
        assert complaint(key, path)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("torch.fx.graph_module.reduce_graph_module", "loads, changes or runs modules"),  # it runs the text it is given
        ("torch.nn.Module.load_from_checkpoint", "has no"),
        ("lightning.LightningModule.load_from_checkpoint", "loads, changes or runs modules"),
        ("test_objects.record", ""),
    ],
)
def test_a_function_that_may_do_more_than_make_an_object_is_not_called(path: str, words: str) -> None:
    for key in ("net", "cfg", "unknown"):
        assert words in complaint(key, {"class_path": path})


def test_a_dataclass_may_be_made_by_its_own_class_method() -> None:
    assert made("cfg", {"class_path": "test_objects.Inner.fast"}) == Inner(lr=1.0)


def test_the_error_of_a_constructor_names_the_object() -> None:
    bad = {"class_path": "torch.nn.Linear", "init_args": {"in_features": -1, "out_features": 1}}
    accepted, _ = check(Shapes, {"layers": [RELU, bad]}, partial=True, objects=True)
    with pytest.raises(ConstructionError) as caught:
        construct(accepted)
    assert caught.value.key == "layers.1"
    assert caught.value.target is nn.Linear
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_arguments_by_position() -> None:
    def function(size: int, /, width: int = 2, *layers: nn.Module, deep: bool = False) -> Any:
        return size, width, layers, deep

    assert list(keywords(function)[0]) == ["size", "width", "layers", "deep"]
    assert call(function, {"size": 1, "deep": True}) == (1, 2, (), True)
    assert call(function, {"size": 1, "layers": (3, 4)}) == (1, 2, (3, 4), False)
    assert call(function, {"size": 1, "width": 5, "layers": (3,)}) == (1, 5, (3,), False)
    with pytest.raises(TypeError, match="size"):
        call(function, {"width": 1})
    assert check(function, {})[1] == [("size", "missing; expected a whole number")]
