"""What data may name: nothing is called, and a class is handed out only for the place it fits."""

from __future__ import annotations

import collections
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import BadInput, RecipeError
from lab.imports import load_callable, load_class, load_object, take_twins
from lab.recipe import load
from lab.registry import Plugin, find_task
from tests.processes import Started

ACTS = """
from pathlib import Path

def act(*words, **settings):
    Path("acted").touch()

class Acts:
    def __init__(self, *words, **settings):
        act()

class Lazy:
    @property
    def part(self):
        act()

lazy = Lazy()
"""


def test_load_object_takes_both_spellings() -> None:
    assert load_object("lab.registry:find_task") is find_task
    assert load_object("lab.registry.find_task") is find_task
    assert load_object("lab.registry:Plugin.source") is vars(Plugin)["source"]  # nothing is computed


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("lab.registry:find_tsk", "module 'lab.registry' has no 'find_tsk'; did you mean 'find_task'?"),
        ("lab.regstry:x", "no module 'lab.regstry' (for 'lab.regstry:x'); is it installed, or on PYTHONPATH?"),
        ("nowhere_.x:Y", "no module 'nowhere_' (for 'nowhere_.x:Y'); is it installed, or on PYTHONPATH?"),
        ("lab", "expected `package.module:Name`, found 'lab'"),
        ("lab:", "expected `package.module:Name`, found 'lab:'"),
        ("", "expected `package.module:Name`, found ''"),
        (".lab:x", "expected `package.module:Name`, found '.lab:x'"),
        ("os.system('ls'):x", "expected `package.module:Name`, found \"os.system('ls'):x\""),
        (
            "antigravity:geohash",
            "'antigravity:geohash' is in Python's standard library; name a class from a package or your own code",
        ),
        ("pip.__main__:x", "'pip.__main__:x' is in a script, whose import would run it; name a class in a module"),
    ],
)
def test_load_object_says_which_half_failed(path: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_object(path)
    assert str(caught.value) == message
    assert "antigravity" not in sys.modules


def test_a_class_is_of_the_kind_that_its_place_expects() -> None:
    assert load_class("lab.errors:BadInput", Exception) is BadInput
    with pytest.raises(BadInput, match=r"is the class Plugin; expected a subclass of builtins\.Exception"):
        load_class("lab.registry:Plugin", Exception)
    with pytest.raises(BadInput, match=r"is of type function; expected a subclass of builtins\.Exception"):
        load_class("lab.registry:find_task", Exception)


def test_a_class_of_the_same_name_in_another_package_is_told_apart(tmp_path, monkeypatch) -> None:
    (tmp_path / "other_ordered.py").write_text("class OrderedDict: ...\nclass Mine(OrderedDict): ...")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadInput) as caught:
        load_class("other_ordered:Mine", collections.OrderedDict)
    assert "it descends from other_ordered.OrderedDict, so import OrderedDict from collections" in str(caught.value)


@pytest.mark.parametrize("name", ["act", "Acts", "Lazy", "lazy", "lazy.part", "Lazy.part", "Path"])
@pytest.mark.parametrize("place", ["callback", "module", "data"])
def test_a_recipe_calls_nothing_that_its_place_does_not_expect(name, place, tmp_path, monkeypatch) -> None:
    from lab.runner.assemble import assemble

    monkeypatch.chdir(tmp_path)
    Path("acting.py").write_text(ACTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acting", raising=False)
    right = {"module": "lab.tabular.regress:Regress", "data": "lab.tabular.data.curve_data:CurveData"}
    task = right | {place: f"acting:{name}"} if place != "callback" else right
    lines = [f"task: {{module: '{task['module']}', data: '{task['data']}', monitor: x}}"]
    lines += [f"callbacks: [{{class_path: 'acting:{name}', init_args: {{a: 1}}}}]"] if place == "callback" else []
    Path("recipe.yaml").write_text("\n".join([*lines, "trainer: {max_epochs: 1}"]))
    with pytest.raises(RecipeError) as caught:
        assemble(load("recipe.yaml"))
    assert not Path("acted").exists()
    key = "callbacks.0.class_path" if place == "callback" else f"task.{place}"
    assert [problem.key for problem in caught.value.problems] == [key]


OLDER = """
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.types import STEP_OUTPUT


class Net(pl.LightningModule):
    def training_step(self, batch): ...
    def validation_step(self, batch): ...
    def configure_optimizers(self): ...

    def configure_callbacks(self):
        assert pl.callbacks.ModelCheckpoint is ModelCheckpoint
        return [ModelCheckpoint(monitor="val_loss")]


class Data(pl.LightningDataModule):
    def train_dataloader(self):
        return []

    val_dataloader = train_dataloader
"""
AS_ONE = """
from lab.recipe import load
from lab.runner.assemble import assemble
assembly = assemble(load("recipe.yaml"))
import lightning.fabric.utilities.seed, lightning.pytorch
import lightning_fabric.utilities.seed, pytorch_lightning.callbacks.early_stopping
assert pytorch_lightning is lightning.pytorch
assert lightning_fabric.utilities.seed is lightning.fabric.utilities.seed
assert lightning.pytorch.__spec__.name == "lightning.pytorch"
assert any(type(each) is pytorch_lightning.callbacks.EarlyStopping for each in assembly.trainer.callbacks)
try:
    import pytorch_lightning.nowhere
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.mark.slow
def test_the_older_name_of_lightning_is_lightning(tmp_path) -> None:
    (tmp_path / "older.py").write_text(OLDER)
    (tmp_path / "recipe.yaml").write_text(
        "task: {module: 'older:Net', data: 'older:Data', monitor: val_loss}\ntrainer: {max_epochs: 1}\n"
        "callbacks: [{class_path: pytorch_lightning.callbacks.EarlyStopping, init_args: {monitor: val_loss}}]\n"
    )
    (tmp_path / "as_one.py").write_text(AS_ONE)
    out, err = Started(tmp_path, "as_one").communicate()
    assert out == "No module named 'pytorch_lightning.nowhere'\n", err


@pytest.mark.long
def test_a_run_before_leaves_the_older_name_free(tmp_path) -> None:
    (tmp_path / "older.py").write_text(OLDER)
    (tmp_path / "recipe.yaml").write_text(
        "task: {module: 'older:Net', data: 'older:Data', monitor: val_loss}\ntrainer: {max_epochs: 1}\n"
    )
    script = """
from lab.errors import LabError
from lab.recipe import load, load_text
from lab.runner.assemble import assemble
try:
    assemble(load_text("task: regress\\nmodel: {lr: -1}", "a recipe before"))
except LabError:
    import mlflow.pytorch  # it imports the older name, as a published run does
assemble(load("recipe.yaml"))
"""
    found = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_a_package_that_was_imported_before_keeps_its_name(monkeypatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if type(finder).__name__ != "_Twin"])
    monkeypatch.setitem(sys.modules, "pytorch_lightning", collections)
    take_twins()
    assert not any(type(finder).__name__ == "_Twin" for finder in sys.meta_path)


def test_load_callable_takes_classes_functions_and_class_methods() -> None:
    assert load_callable("lab.registry:find_task") is find_task
    assert load_callable("lab.recipe.schema.Recipe").__name__ == "Recipe"
    bound = load_callable("torch.nn:Module.register_module")
    assert bound.__name__ == "register_module"
    method = load_callable("torchvision.models:ResNet18_Weights.verify")
    assert method.__name__ == "verify"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("lab.registry:Kind", "'lab.registry:Kind' is of type _LiteralGenericAlias; expected a class or a function"),
        ("lab.imports:import_module", "'lab.imports:import_module' is importlib.import_module of Python's standard"),
        ("torch:os.system", "'torch:os.system' is posix.system of Python's standard library"),
        ("torch:os.environ", "'torch:os.environ' is of type _Environ; expected a class or a function"),
    ],
)
def test_load_callable_refuses_the_rest(path: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_callable(path)
    assert str(caught.value).startswith(message)
