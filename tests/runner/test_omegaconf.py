"""Modules configured by OmegaConf, which is no dependency: a stand-in has the few names that are used of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from lab.engine.hyperparameters import with_plain_hyperparameters
from lab.recipe.signature import check
from tests.runner.projects import Judged, Run


class DictConfig(MutableMapping[str, Any]):
    """A mapping whose entries are attributes, too."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.__dict__["content"] = content

    def __getitem__(self, key: str) -> Any:
        value = self.content[key]
        return DictConfig(value) if isinstance(value, dict) else value

    __getattr__ = __getitem__

    def __setitem__(self, key: str, value: Any) -> None:
        self.content[key] = value

    def __delitem__(self, key: str) -> None:
        del self.content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)


DictConfig.__module__ = "omegaconf.dictconfig"


class Configured:
    def __init__(self, cfg: DictConfig) -> None:
        self.width = cfg.net.width


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("omegaconf")
    module.OmegaConf = SimpleNamespace(to_container=lambda value: value.content)
    monkeypatch.setitem(sys.modules, "omegaconf", module)


@pytest.mark.usefixtures("stand_in")
def test_a_mapping_becomes_a_configuration_and_is_kept_as_a_mapping() -> None:
    values = {"lr": 0.1, "net": {"width": 2}}
    found, complaints = check(Configured, {"cfg": values}, objects=True)
    assert complaints == []
    assert Configured(**found).width == 2
    config = DictConfig(values)
    for saved in ({"cfg": config, "seed": 1}, {"parts": [config]}):
        kept, lost = with_plain_hyperparameters({"hyper_parameters": saved})
        assert lost == []
        assert kept["hyper_parameters"] == {"cfg": values, "seed": 1} if "cfg" in saved else {"parts": [values]}
    kept, _ = with_plain_hyperparameters({"hyper_parameters": config, "hparams_type": DictConfig})
    assert kept == {"hyper_parameters": values}


def test_a_run_with_the_real_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    omegaconf = pytest.importorskip("omegaconf")

    class Whole(Judged):
        def __init__(self, cfg: omegaconf.DictConfig) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = nn.Linear(2, cfg.net.width)

    Whole.__init__.__annotations__["cfg"] = omegaconf.DictConfig
    monkeypatch.setattr(sys.modules[__name__], "Whole", Whole, raising=False)
    result = run(Whole, more="model: {cfg: {net: {width: 1}}}")
    assert result.best is not None
    kept = torch.load(result.best, weights_only=True)["hyper_parameters"]
    assert kept == {"cfg": {"net": {"width": 1}}}
