"""A recipe's own task may name a function that makes the module or the data module; its signature is the schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lightning import LightningDataModule, LightningModule
from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel

from lab.errors import RecipeError
from lab.recipe import load
from lab.runner.assemble import assemble
from lab.runner.assembly import Assembly

CALLED: list[str] = []


class Wide(BoringModel):
    """A module that is seldom made by its constructor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @classmethod
    def of(cls, name: str) -> Wide:
        return cls(len(name))


def wide(width: int = 3) -> Wide:
    return Wide(width)


def boring() -> LightningDataModule:
    return BoringDataModule()


def any_module() -> LightningModule:
    return Wide(1)


def silent(width: int = 3):
    CALLED.append("silent")
    return Wide(width)


def text() -> str:
    CALLED.append("text")
    return "no module"


def lying() -> Wide:
    return 5  # type: ignore[return-value]


class Other(BoringModel):
    """Something else than its class says."""

    def __new__(cls) -> Any:
        return "no module"


class Holds(BoringModel):
    def __init__(self, net: BoringModel) -> None:
        super().__init__()
        self.net = net


def made(tmp_path: Path, module: str, data: str | None = f"{__name__}:boring", model: Any = None) -> Assembly:
    path = tmp_path / "own.yaml"
    own = f"{{module: '{__name__}:{module}'{f', data: {data}' if data else ''}}}"
    path.write_text(f"task: {own}\nmodel: {model or {}}\ntrainer: {{max_epochs: 1, accelerator: cpu}}\n")
    return assemble(load(path))


@pytest.mark.slow
def test_a_function_or_a_class_method_makes_the_module(tmp_path: Path):
    assert made(tmp_path, "wide", model={"width": 5}).module.width == 5
    assert made(tmp_path, "Wide.of", model={"name": "four"}).module.width == 4
    assert made(tmp_path, "wide", data=None).module.width == 3
    assert made(tmp_path, "any_module", data=None).module.width == 1
    assert isinstance(made(tmp_path, "wide").data, BoringDataModule)


def test_its_settings_are_checked_like_a_constructor_s(tmp_path: Path):
    with pytest.raises(RecipeError, match="unknown key 'widht'; did you mean 'width'"):
        made(tmp_path, "wide", model={"widht": 5})


@pytest.mark.parametrize(("name", "words"), [("silent", "does not say what it returns"), ("text", "returns str")])
def test_a_function_that_may_do_anything_is_not_called(name: str, words: str, tmp_path: Path):
    expected = f"is a function that {words}; expected a return type that is a LightningModule"
    with pytest.raises(RecipeError, match=expected):
        made(tmp_path, name)
    assert not CALLED


@pytest.mark.parametrize(("name", "kind"), [("lying", "int"), ("Other", "str")])
def test_what_it_makes_has_to_be_what_it_says(name: str, kind: str, tmp_path: Path):
    expected = f"refuses its settings: TypeError: it returned a value of type {kind}, not {__name__}."
    with pytest.raises(RecipeError, match=expected) as error:
        made(tmp_path, name)
    assert "objects.py" not in str(error.value)
    net = {"class_path": f"{__name__}:{name}"}
    with pytest.raises(RecipeError, match=expected) as error:
        made(tmp_path, "Holds", model={"net": net})
    assert error.value.problems[0].key == "model.net"
