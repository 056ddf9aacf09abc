"""The hooks of a task: what is one, what only looks like one, and that the page about them lists them all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from lightning import LightningDataModule, LightningModule
from torch import nn

from lab.registry import find_task, task_names
from lab.task import DataHooks, ModuleHooks, Task, hook, hooks, lookalikes

ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"


class Rows(LightningDataModule):
    def __init__(self) -> None:
        super().__init__()
        self.tags = ["a", "list"]

    def facts(self) -> dict[str, int]:
        return {"rows": 3}

    def trainer_default(self) -> dict[str, int]:
        return {"max_epochs": 3}

    def _progress(self) -> None: ...


class Network(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.play = nn.Linear(1, 1)

    def pre_train(self) -> None: ...


TASK = Task(Network, Rows, monitor="val/loss", mode="min")


def test_a_method_of_the_class_is_a_hook_and_nothing_else_is() -> None:
    facts = hook(Rows(), "facts")
    assert facts is not None
    assert facts() == {"rows": 3}
    assert hook(Rows, "facts") is Rows.facts
    assert hook(Rows(), "tags") is None
    assert hook(Rows(), "progress") is None
    assert hook(Network(), "play") is None
    assert hook(Network(), "compile") is not None
    assert hook(None, "facts") is None
    with pytest.raises(LookupError, match="no hook is called 'fact'"):
        hook(Rows(), "fact")


def test_what_only_looks_like_a_hook_is_named() -> None:
    assert list(lookalikes(TASK)) == [
        "test_task.Network.pre_train is never called by lab; the hook is called 'pretrain'",
        "test_task.Rows.trainer_default is never called by lab; the hook is called 'trainer_defaults'",
    ]

    class Both(Rows):
        def trainer_defaults(self) -> dict[str, int]:
            return self.trainer_default()

    assert [line for line in lookalikes(Task(LightningModule, Both, "x", "min")) if "trainer" in line] == []


@pytest.mark.parametrize("name", task_names())
def test_no_installed_task_has_one(name: str) -> None:
    assert list(lookalikes(find_task(name))) == []


@pytest.mark.parametrize("protocol", [DataHooks, ModuleHooks])
def test_every_hook_is_a_row_of_the_page_with_its_signature(protocol: type) -> None:
    page = ARCHITECTURE.read_text().partition("**Hooks.**")[2].partition("**Other attributes")[0]
    rows = re.findall(r"^\| `(\w+)\(.*?\| (data|module) \|", page, re.M)
    owner = "data" if protocol is DataHooks else "module"
    assert [name for name, of in rows if of == owner] == hooks(protocol)
    assert all(getattr(protocol, name).__doc__ for name in hooks(protocol))


def test_the_record_needs_neither_torch_nor_lightning() -> None:
    asked = "import sys, lab.task; print({'torch', 'lightning'} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
