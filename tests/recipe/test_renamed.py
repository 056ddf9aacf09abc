"""A key that had another name before is refused with its new one, wherever recipes are written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.errors import RecipeError
from lab.recipe import load
from lab.recipe.renamed import RENAMED, renamed
from lab.recipe.signature import check, parameters
from lab.registry import find_task, task_names

SHIPPED = dict(RENAMED)


@dataclass
class Memory:
    """How much is remembered."""

    capacity: int = 1


class Replay:
    """Somebody's data."""

    def __init__(self, learning_starts: int, memory: Memory | None = None) -> None: ...


class Other:
    """Somebody else's, who never heard of the new word."""

    def __init__(self, random_stops: int = 1) -> None: ...


@pytest.fixture(autouse=True)
def renames(monkeypatch: pytest.MonkeyPatch) -> None:
    for old, new in {
        "data.random_steps": "data.learning_starts",
        "data.memory.size": "data.memory.capacity",
        "model.gamma_": "model.gamma",
        "track.group": "track.experiment",
        "torch_threads": "threads",
        "data.elsewhere": "model.learning_starts",
    }.items():
        monkeypatch.setitem(RENAMED, old, new)


def complaints(values: dict[str, Any], target: Any = Replay, section: str = "data") -> dict[str, str]:
    return dict(check(target, values, within=(section,))[1])


def test_an_old_key_names_the_new_one() -> None:
    said = complaints({"random_steps": 3})
    assert said == {"random_steps": "unknown key 'random_steps'; it is called 'learning_starts' now"}


def test_an_old_key_inside_a_value_names_the_new_one() -> None:
    said = complaints({"learning_starts": 1, "memory": {"size": 3}})
    assert said == {"memory.size": "unknown key 'size'; it is called 'capacity' now"}


def test_only_a_word_that_the_constructor_knows_is_an_answer() -> None:
    said = complaints({"random_steps": 3}, Other)
    assert said == {"random_steps": "unknown key 'random_steps'; did you mean 'random_stops'?"}
    assert "it is called" not in complaints({"random_steps": 3}, section="model")["random_steps"]
    assert "it is called" not in complaints({"elsewhere": 3})["elsewhere"]
    assert "it is called" not in dict(check(Replay, {"random_steps": 3}, given=["learning_starts"])[1])["random_steps"]


def test_the_envelope_has_old_keys_too(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("task: ddpg\ntorch_threads: 1\ntrack: {group: x}\n")
    said = [str(problem) for problem in load(tmp_path / "x.yaml").problems]
    assert [line.partition(": ")[2] for line in said] == [
        "torch_threads: unknown key 'torch_threads'; it is called 'threads' now",
        "track.group: unknown key 'group'; it is called 'experiment' now",
    ]


def test_a_recipe_and_an_override_are_refused(tmp_path: Path) -> None:
    from lab.runner.assemble import assemble

    (tmp_path / "x.yaml").write_text("task: ddpg\nmodel:\n  gamma_: 0.9\n")
    with pytest.raises(RecipeError, match=r"x.yaml:3: model.gamma_: unknown key 'gamma_'; it is called 'gamma' now"):
        assemble(load(tmp_path / "x.yaml"))
    (tmp_path / "x.yaml").write_text("task: ddpg\n")
    with pytest.raises(RecipeError, match=r"override model.gamma_=1: model.gamma_: .* it is called 'gamma' now"):
        assemble(load(tmp_path / "x.yaml", ["model.gamma_=1"]))


@pytest.mark.parametrize("old", SHIPPED)
def test_every_new_name_is_a_keyword_of_something_that_is_installed(old: str) -> None:
    section, _, new = SHIPPED[old].rpartition(".")
    tasks = [find_task(name) for name in task_names()]
    targets = {"model": [task.module for task in tasks], "data": [task.data for task in tasks]}
    assert old.rpartition(".")[0] == section
    assert any(parameter.name == new for target in targets[section] for parameter in parameters(target))


def test_a_key_that_was_never_renamed_has_no_other_name() -> None:
    assert renamed("nowhere", ["x"]) is None
