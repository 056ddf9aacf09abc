"""A process that starts soon: packages whose parts wait, and imports without the garbage collector."""

import gc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest

from lab import startup
from lab.startup import defer, importing

INIT = """
import os
from waiting.first import shared as common
from waiting.second import late, other
from waiting import third
if os.sep:
    from waiting.second import conditional
here = common + 1
__all__ = ["late", "third"]
"""

TORCHMETRICS = """
from lab.startup import defer

defer()
import sys
import lightning
import torchmetrics

assert not {"torchvision", "transformers", "scipy.signal"} & sys.modules.keys()
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

collection = MetricCollection(MulticlassAccuracy(3))
assert torchmetrics.Metric is sys.modules["torchmetrics.metric"].Metric
assert not {"torchvision", "transformers", "scipy.signal"} & sys.modules.keys()
import mlflow
import torchrl.data

assert not {"ray._raylet", "mujoco._structs", "fastapi"} & sys.modules.keys()
"""
EVERYTHING = """
import torchmetrics.functional

for package in torchmetrics, torchmetrics.functional:
    assert all(getattr(package, name) is not None for name in package.__all__)
assert not hasattr(torchmetrics, "nothing")
assert "scipy.signal" in sys.modules
"""


WHOLE = """
import whole.inner
value, __version__ = whole.inner.value, "2"
"""


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """A package that waits as a whole: a list of what was executed of it."""
    executed: list[str] = []
    monkeypatch.setattr("builtins.executed", executed, raising=False)
    (tmp_path / "whole").mkdir()
    for name, text in {"__init__": WHOLE, "inner": "value = 1", "alone": "", "other": ""}.items():
        (tmp_path / "whole" / f"{name}.py").write_text(f"{text}\nexecuted.append(__name__)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(startup, "WAITING", {"whole": ("alone",)})
    monkeypatch.setattr(sys, "meta_path", sys.meta_path.copy())
    defer()
    yield executed
    for name in [name for name in sys.modules if name.partition(".")[0] == "whole"]:
        del sys.modules[name]


@pytest.fixture
def waiting(tmp_path, monkeypatch):
    """A package whose parts write down that they are executed."""
    (tmp_path / "waiting").mkdir()
    (tmp_path / "waiting" / "__init__.py").write_text(INIT)
    for name, text in {
        "first": "shared = 1",
        "second": "late, other, conditional = [], 2, 3",
        "third": "",
    }.items():
        (tmp_path / "waiting" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(startup, "PACKAGES", {"waiting": ()})
    monkeypatch.setattr(startup, "_frozen", False)
    monkeypatch.setattr(sys, "meta_path", sys.meta_path.copy())
    defer()
    yield sys.modules
    for name in [name for name in sys.modules if name.partition(".")[0] == "waiting"]:
        del sys.modules[name]


def test_a_part_is_imported_when_it_is_asked_for(waiting):
    import waiting as package  # type: ignore[import-not-found]

    assert package.here == 2
    assert "waiting.first" in waiting
    assert not {"waiting.second", "waiting.third"} & waiting.keys()
    assert package.late is waiting["waiting.second"].late
    assert "waiting.third" not in waiting
    from waiting import third  # type: ignore[import-not-found]

    assert third is waiting["waiting.third"]


def test_whatever_else_is_asked_for_comes_from_the_whole_package(waiting):
    import waiting as package  # type: ignore[import-not-found]

    late = package.late
    assert package.conditional == 3
    assert package.late is late
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing


def test_all_names_can_be_imported_at_once(waiting):
    found: dict[str, object] = {}
    exec("from waiting import *", found)
    assert found["late"] is waiting["waiting.second"].late
    assert found["third"] is waiting["waiting.third"]


@pytest.mark.long
def test_lightning_brings_no_library_that_only_some_metrics_need():
    subprocess.run([sys.executable, "-c", TORCHMETRICS], check=True)


@pytest.mark.long
def test_every_name_of_torchmetrics_is_there():
    subprocess.run([sys.executable, "-c", TORCHMETRICS + EVERYTHING], check=True)


@pytest.mark.slow
def test_imports_are_not_collected_and_the_collector_is_as_before():
    enabled, frozen = gc.isenabled(), gc.get_freeze_count()
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled() == enabled
    assert gc.get_freeze_count() <= frozen  # some that were frozen before may be gone by now


@pytest.mark.slow
def test_in_a_process_of_its_own_what_was_imported_is_left_out_of_later_collections(waiting):
    gc.collect()
    before = gc.get_freeze_count()
    try:
        with importing():
            pass
        assert gc.get_freeze_count() == before  # nothing was imported
        with importing():
            import waiting  # noqa: F401
        assert gc.get_freeze_count() > before
    finally:
        if not before:
            gc.unfreeze()


def test_a_package_that_waits_is_executed_when_something_of_it_is_asked_for(whole):
    package = import_module("whole")
    import_module("whole.alone")
    assert not hasattr(package, "__wrapped__")
    assert whole == ["whole.alone"]
    assert package.__version__ == "2"
    assert package.value == 1
    assert whole == ["whole.alone", "whole.inner", "whole"]
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing


@pytest.mark.parametrize("module", ["inner", "other"])
def test_a_module_of_a_package_that_waits_is_imported_once_and_after_its_package(whole, module):
    import_module(f"whole.{module}")
    assert whole == ["whole.inner", "whole", *(["whole.other"] if module == "other" else [])]
    assert getattr(sys.modules["whole"], module) is sys.modules[f"whole.{module}"]


def test_a_package_that_fails_can_be_asked_again(whole, tmp_path):
    source = tmp_path / "whole" / "__init__.py"
    source.write_text("import nosuch_package")
    package = import_module("whole")
    for _ in range(2):
        with pytest.raises(ImportError, match="nosuch_package"):
            _ = package.value


def test_two_threads_that_ask_get_the_same_whole_package(whole):
    package = import_module("whole")
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda _: package.value, range(8))] == [1] * 8
    assert whole.count("whole") == 1
