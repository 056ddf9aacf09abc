"""Lightning's private names: few, in one file, and there in the installed version."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import lightning
import pytest
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from torch import nn
from torchmetrics import MeanMetric

from lab.engine import boundary

ROOT = Path(__file__).parents[2] / "lab"
MOST = 8
INHERITED = {
    name
    for base in (Callback, LightningDataModule, LightningModule, Logger, ModelCheckpoint)
    for name in dir(base)
    if name not in dir(nn.Module)
}


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def defined(source: str) -> Iterator[str]:
    """The private names that a file makes: classes, functions, and attributes of `self`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and private(node.name):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and private(node.attr):
            yield node.attr


@pytest.fixture(scope="module")
def lightnings() -> set[str]:
    """Every private name of Lightning's own source."""
    files = Path(lightning.__file__).parent.glob("[fp]*/**/*.py")  # fabric and pytorch
    return {name for file in files for name in defined(file.read_text())} - set(dir(MeanMetric()))  # torchmetrics' own


def reached(source: str, lightnings: set[str]) -> Iterator[str]:
    """The private names of Lightning that a file uses: imported, of an object, inherited, or named in a string."""
    tree = ast.parse(source)
    pieces = {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lightning"):
            yield from (alias.name for alias in node.names if private(alias.name))
            yield from (part for part in (node.module or "").split(".") if private(part))
        elif isinstance(node, ast.Attribute) and private(node.attr):
            own = ast.unparse(node.value) in ("self", "cls", "super()")
            if node.attr in (INHERITED if own else lightnings):
                yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in pieces:
            parts = node.value.split(".")
            if all(part.isidentifier() for part in parts):
                yield from (part for part in parts if private(part) and part in lightnings)


def test_the_installed_lightning_has_every_name():
    assert boundary.missing(Trainer(logger=False, enable_checkpointing=False)) == []


def test_a_name_that_is_gone_is_found(monkeypatch):
    trainer = Trainer(logger=False, enable_checkpointing=False)
    del trainer.fit_loop.epoch_loop._results
    monkeypatch.delattr(type(trainer.fit_loop.epoch_loop), "on_advance_end")
    first, second = boundary.missing(trainer)
    assert "_results" in first
    assert "averages" in first
    assert "on_advance_end" in second


@pytest.mark.slow
def test_one_file_alone_reaches_into_lightning_and_for_few_names(lightnings):
    files = [path for path in ROOT.rglob("*.py") if "template" not in path.parts]
    used = {path.relative_to(ROOT): set(reached(path.read_text(), lightnings)) for path in files}
    inside, named = used.pop(Path("engine/boundary.py")), (*boundary.PRIVATE, *boundary.PRIVATE_OF_MODULES)
    assert {str(path): names for path, names in used.items() if names} == {}
    assert inside == {part for name in named for part in name.path.split(".") if private(part)}
    assert len(inside) <= MOST


@pytest.mark.parametrize(
    "source",
    [
        "from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop",
        "from lightning.pytorch.loops import _Loop as Loop",
        "def f(trainer):\n    return trainer.fit_loop._combined_loader",
        "def f(loop):\n    loop._restarting = False",
        "def f(trainer):\n    return getattr(trainer, '_logger_connector')",
        "class Own(Callback):\n    def f(self):\n        return self._monitor_candidates",
    ],
)
def test_a_planted_fault_is_found(source, lightnings):
    assert len(list(reached(source, lightnings))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "class Own:\n    def f(self):\n        self._restarting = False",
        "def f(tracker):\n    return tracker._journal",
        "def f(trainer):\n    return trainer.fit_loop.epoch_loop.batch_progress",
    ],
)
def test_what_is_allowed_is_not_found(source, lightnings):
    assert list(reached(source, lightnings)) == []
