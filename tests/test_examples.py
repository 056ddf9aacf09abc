"""The examples in docstrings of the packages for users run, and whatever those packages export has one."""

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from tensordict import TensorDict
from torch import nn

import lab

ROOT = Path(lab.__file__).parent
PACKAGES = (
    "data",
    "learning",
    "multimodal",
    "networks",
    "plots",
    "rl",
    "series",
    "stats",
    "tabular",
    "task",
    "testing",
    "text",
    "vision",
)
INNER = ("rl.common", "rl.data", "rl.envs", "rl.networks")  # rooms that export names of their own
WITHOUT = {  # what is exported and has no example, and why
    "lab.networks.pretrained_weights": "it would ask the Hub",
    "lab.rl.common.Learner": "abstract: its subclasses are the algorithms",
    "lab.rl.common.OffPolicy": "abstract, likewise",
    "lab.rl.common.OnPolicy": "abstract, likewise",
    "lab.rl.common.record_video": "it would write a video for a second",
    "lab.rl.data.CollectionData": "abstract: ReplayData and RolloutData show it",
    "lab.rl.envs.Stepper": "a protocol: make_stepper shows it",
    "lab.task.DataHooks": "a protocol: hook shows it",
    "lab.task.ModuleHooks": "a protocol: hooks shows it",
    "lab.testing.ContractError": "an exception",
    "lab.testing.check_task": "it would train for some seconds",
}


def files(package):
    """The files of a package of lab and of those within it, or the one file."""
    folder = ROOT / package
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [ROOT / f"{package}.py"]


def documented(node, name):
    """The name and the docstring of a file, class or function, and of all within it; decorated ones too."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        yield name, node, ast.get_docstring(node, clean=False) or ""
    for child in getattr(node, "body", []):
        yield from documented(child, f"{name}.{getattr(child, 'name', '')}")


def examples():
    """The docstrings with examples, as modules, names, texts and lines."""
    for file in [file for package in PACKAGES for file in files(package)]:
        source = file.read_text()
        if ">>>" not in source:
            continue
        module = ".".join(file.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
        for name, node, text in documented(ast.parse(source), module):
            if ">>>" in text:
                yield pytest.param(module, name, text, file, node.body[0].lineno - 1, id=name)


@pytest.mark.parametrize(("module", "name", "text", "file", "line"), list(examples()))
def test_examples_run(module, name, text, file, line, tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "data"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    torch.manual_seed(0)
    usual = {"torch": torch, "nn": nn, "np": np, "TensorDict": TensorDict}
    names = {**vars(importlib.import_module(module)), **usual, "__name__": "__main__"}
    example = doctest.DocTestParser().get_doctest(text, names, name, str(file), line)
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0
    assert list(Path.cwd().iterdir()) == []  # data sets alone may be written, in their folder


def exported(package):
    """The classes and functions that a package exports, by name; of a file those that it defines."""
    listed = getattr(package, "__all__", None) or [
        name for name, value in vars(package).items() if getattr(value, "__module__", "") == package.__name__
    ]
    found = {name: getattr(package, name) for name in listed if not name.startswith("_")}
    return {name: value for name, value in found.items() if inspect.isclass(value) or inspect.isfunction(value)}


@pytest.mark.parametrize("name", [*PACKAGES, *INNER])
def test_what_is_exported_has_an_example(name):
    package = importlib.import_module(f"lab.{name}")
    bare = {f"lab.{name}.{each}" for each, value in exported(package).items() if ">>>" not in (value.__doc__ or "")}
    assert bare == {each for each in WITHOUT if each.rpartition(".")[0] == f"lab.{name}"}


def test_every_room_that_exports_is_looked_at():
    rooms = {file.parent for package in PACKAGES for file in files(package) if file.name == "__init__.py"}
    exporting = {room for room in rooms if "__all__" in (room / "__init__.py").read_text()}
    assert {".".join(room.relative_to(ROOT).parts) for room in exporting} <= {*PACKAGES, *INNER}
