"""What data may name: nothing is called, and a class is handed out only for the place it fits."""

from __future__ import annotations

import collections
import sys
from pathlib import Path

import pytest

from lab.errors import BadInput, RecipeError
from lab.imports import load_class, load_object
from lab.recipe import load
from lab.registry import Plugin, find_task

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
            "'antigravity:geohash' is in Python's standard library; name a class of a package or of your own",
        ),
        ("pip.__main__:x", "'pip.__main__:x' is in a script, which would run; name a class of a module"),
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
    right = {"module": "lab.tabular.regress:Regress", "data": "lab.tabular.curve_data:CurveData"}
    task = right | {place: f"acting:{name}"} if place != "callback" else right
    lines = [f"task: {{module: '{task['module']}', data: '{task['data']}', monitor: x}}"]
    lines += [f"callbacks: [{{class_path: 'acting:{name}', init_args: {{a: 1}}}}]"] if place == "callback" else []
    Path("recipe.yaml").write_text("\n".join([*lines, "trainer: {max_epochs: 1}"]))
    with pytest.raises(RecipeError) as caught:
        assemble(load("recipe.yaml"))
    assert not Path("acted").exists()
    key = "callbacks.0.class_path" if place == "callback" else f"task.{place}"
    assert [problem.key for problem in caught.value.problems] == [key]
