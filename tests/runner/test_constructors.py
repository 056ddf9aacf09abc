"""Modules and data as public projects write them: constructed from a recipe, trained, saved, resumed and tested."""
# ruff: noqa: ARG002, E501

from __future__ import annotations

import enum
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Callback, LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lab import files
from lab.errors import RecipeError
from lab.recipe import load
from lab.runner.assemble import assemble
from lab.runner.fit import fit
from lab.runner.record import parameters
from lab.testing.resuming import check_resume, whole

pytestmark = pytest.mark.slow  # each trains

HEAD = """\
task: {module: 'test_constructors:%s', data: 'test_constructors:Points', monitor: val_loss, mode: min}
trainer: {max_epochs: 2, accelerator: cpu, devices: 1, enable_progress_bar: false}
track: {system_metrics: false}
"""
TEMPLATE = """\
model:
  net: {class_path: torch.nn.Sequential, init_args: {args: [
    {class_path: torch.nn.Linear, init_args: {in_features: 2, out_features: 4}}, {class_path: torch.nn.ReLU},
    {class_path: torch.nn.Linear, init_args: {in_features: 4, out_features: 1}}]}}
  optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.1}, partial: true}
  scheduler: {class_path: torch.optim.lr_scheduler.StepLR, init_args: {step_size: 1}, partial: true}
  root: some/where
  shade: dark
  width: 3
callbacks: [{class_path: 'test_constructors:Counts', init_args: {inner: {class_path: torch.nn.Flatten}}}]
"""


class Shade(enum.Enum):
    DARK = "dark"


class Kind(enum.Enum):
    """Of values that no checkpoint keeps."""

    ONE = object()


class Points(LightningDataModule):
    def __init__(self, dataset: Dataset[Any] | None = None, transform: Any = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        x = torch.linspace(-1, 1, 64).reshape(32, 2)
        self.dataset = dataset or TensorDataset(x, x.sum(1, keepdim=True))

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.dataset, 8, shuffle=True)

    val_dataloader = test_dataloader = train_dataloader


class Template(LightningModule):
    """As in the templates for Hydra: a network, and partials that are hinted as the objects they make."""

    def __init__(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: torch.optim.lr_scheduler,  # type: ignore[valid-type]
        root: Path = Path(),
        shade: Shade = Shade.DARK,
        kind: Kind = Kind.ONE,
        width: Any = np.float32(2),  # noqa: B008
        activation: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.net = net

    def loss(self, batch: Any) -> torch.Tensor:
        return (self.net(batch[0]) - batch[1]).square().mean()

    def training_step(self, batch: Any) -> torch.Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Any) -> None:
        self.log("val_loss", self.loss(batch))

    def test_step(self, batch: Any) -> None:
        self.log("test_loss", self.loss(batch))

    def configure_optimizers(self) -> Any:
        optimizer = self.hparams["optimizer"](params=self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": self.hparams["scheduler"](optimizer=optimizer)}


class Configured(Template):
    """Takes one configuration, with attributes."""

    def __init__(self, cfg) -> None:  # type: ignore[no-untyped-def]
        LightningModule.__init__(self)
        self.save_hyperparameters()
        self.net = nn.Linear(2, cfg.width)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


class Counts(Callback):
    """A callback that is given an object."""

    def __init__(self, inner: nn.Module) -> None:
        self.inner = inner


def recipe(folder: Path, module: str = "Template", text: str = TEMPLATE, *overrides: str) -> Any:
    (folder / "project.yaml").write_text(HEAD % module + text)
    return load(folder / "project.yaml", overrides)


def problems(*arguments: Any) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        assemble(recipe(*arguments))
    return [str(problem) for problem in caught.value.problems]


def test_everything_is_built_where_it_belongs(tmp_path: Path) -> None:
    assembly = assemble(recipe(tmp_path))
    module: Any = assembly.module
    assert [type(layer) for layer in module.net] == [nn.Linear, nn.ReLU, nn.Linear]
    assert isinstance(module.hparams["optimizer"], functools.partial)
    counts = [callback for callback in assembly.trainer.callbacks if isinstance(callback, Counts)]  # type: ignore[attr-defined]
    assert isinstance(counts[0].inner, nn.Flatten)
    logged = dict(parameters(assembly))
    assert logged["model.net.init_args.args.0.class_path"] == "torch.nn.Linear"
    assert logged["model.optimizer.init_args.lr"] == 0.1
    assert logged["model.root"] == Path("some/where")


def test_the_same_seed_gives_the_same_objects(tmp_path: Path) -> None:
    one, two, other = (assemble(recipe(tmp_path, "Template", TEMPLATE, f"seed={seed}")).module for seed in (1, 1, 2))
    assert all(torch.equal(*pair) for pair in zip(one.parameters(), two.parameters(), strict=True))
    assert not all(torch.equal(*pair) for pair in zip(one.parameters(), other.parameters(), strict=True))


def test_it_is_trained_saved_and_tested(tracked: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tracked)
    result = fit(recipe(tracked))
    assert result.metrics["test_loss"] < 1
    said = capsys.readouterr().err
    assert said.count("checkpoints do not contain") == 1
    assert "model.net (Sequential), model.optimizer (partial), model.scheduler (partial)" in said
    assert "model.activation (class ReLU)" in said
    assert result.best is not None
    kept = files.load(result.best)["hyper_parameters"]
    assert kept == {"root": "some/where", "shade": "dark", "kind": "ONE", "width": 3}
    assert type(kept["width"]) is int
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    settings = {"net": net, "optimizer": None, "scheduler": None, "weights_only": True}
    assert Template.load_from_checkpoint(result.best, **settings).hparams["root"] == "some/where"


def test_it_is_resumed_to_the_same_bits(tmp_path: Path) -> None:
    wanted = recipe(tmp_path)
    check_resume(wanted, tmp_path, whole(wanted, tmp_path / "whole"), [0.3, 0.8])


def test_a_data_module_is_given_objects(tmp_path: Path) -> None:
    text = TEMPLATE + (
        "data:\n  dataset: {class_path: torch.utils.data.TensorDataset, init_args: {tensors: [[[1, 2.0]], [[3.0]]]}}\n"
        "  transform: {class_path: torchvision.transforms.Compose, init_args: {transforms: []}}\n"
    )
    data: Any = assemble(recipe(tmp_path, "Template", text)).data
    assert data.dataset[0][0].tolist() == [1, 2]
    assert type(data.hparams["transform"]).__name__ == "Compose"


def test_the_trainer_is_given_objects(tmp_path: Path) -> None:
    settings = (
        "trainer.profiler={class_path: lightning.pytorch.profilers.SimpleProfiler}",
        "trainer.strategy={class_path: lightning.pytorch.strategies.SingleDeviceStrategy, init_args: {device: cpu}}",
    )
    assembly = assemble(recipe(tmp_path, "Template", TEMPLATE, *settings))
    assert type(assembly.trainer.profiler).__name__ == "SimpleProfiler"  # type: ignore[attr-defined]
    assert dict(parameters(assembly))["trainer.profiler"] == {
        "class_path": "lightning.pytorch.profilers.SimpleProfiler"
    }


def test_a_configuration_is_a_dict_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    line = next(i for i, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "cfg.width" in text)
    (problem,) = problems(tmp_path, "Configured", "model:\n  cfg: {width: 1}\n")
    assert problem == (
        f"{tmp_path}/project.yaml:5: model.cfg: Configured refuses its settings: AttributeError: 'dict' object has no "
        f"attribute 'width' ({_shown(line)}); a mapping arrives as a dict; for attributes write "
        "{class_path: types.SimpleNamespace, init_args: ...}"
    )
    text = "model:\n  cfg: {class_path: types.SimpleNamespace, init_args: {width: 1}}\n"
    wanted = recipe(tmp_path, "Configured", text)
    check_resume(wanted, tmp_path, whole(wanted, tmp_path / "whole"), [0.5])


def test_an_object_that_cannot_be_made_is_named_with_its_line(tmp_path: Path) -> None:
    text = TEMPLATE.replace("in_features: 2", "in_features: -2")
    (problem,) = problems(tmp_path, "Template", text)
    assert problem.startswith(f"{tmp_path}/project.yaml:6: model.net.init_args.args.0: Linear refuses its settings: ")


def test_whatever_is_wrong_is_found_before_anything_is_made(tmp_path: Path) -> None:
    text = TEMPLATE.replace("torch.optim.SGD", "torch.optim.SDG").replace("step_size", "step_sise")
    assert problems(tmp_path, "Template", text.replace("torch.nn.Flatten", "subprocess.Popen")) == [
        f"{tmp_path}/project.yaml:8: model.optimizer.class_path: module 'torch.optim' has no 'SDG'; did you mean 'SGD'?",
        f"{tmp_path}/project.yaml:9: model.scheduler.init_args.step_sise: unknown key 'step_sise'; "
        "did you mean 'step_size'?",
        f"{tmp_path}/project.yaml:13: callbacks.0.init_args.inner.class_path: 'subprocess.Popen' is in Python's standard "
        "library; name a class from a package or your own code",
    ]


def _shown(line: int) -> str:
    path = Path(__file__)
    return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{line}"
