"""Keys that are judged by source text: as the constructors themselves judge them, and without an import."""

import subprocess
import sys

import pytest

from lab import registry
from lab.keywords import keywords as imported
from lab.recipe import load
from lab.recipe.static import TRAINER, keywords, mistyped, task_classes, unknown_keys

RECIPE = "task: ddpg\nmodel: {lr: 0.1}\ndata: {env: Pendulum-v1}\ntrainer: {devices: 1}\n"


@pytest.mark.parametrize("name", [plugin.name for plugin in registry.plugins(load=False) if plugin.value[:4] == "lab."])
def test_the_source_says_the_same_keywords_as_the_class(name):
    entry = registry.task_entry(name)
    if entry is None:
        return  # a folder of recipes
    task, paths = registry.find_task(name), task_classes(entry)
    assert set(keywords(paths["model"])) == set(imported(task.module)[0])
    assert set(keywords(paths["data"])) == set(imported(task.data)[0])


def test_the_trainers_keywords():
    from lightning import Trainer

    assert set(keywords(TRAINER)) == set(imported(Trainer)[0])


def test_unknown_keys_of_each_section(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE)
    recipe = load(path, ["model.lrr=1", "data.envv=2", "trainer.max_epoch=3"])
    assert dict(unknown_keys(recipe, registry.task_entry("ddpg"))) == {
        "model.lrr": "unknown key 'lrr'; did you mean 'lr'?",
        "data.envv": "unknown key 'envv'; did you mean 'env'?",
        "trainer.max_epoch": "unknown key 'max_epoch'; did you mean 'max_epochs'?",
    }
    assert len(mistyped(recipe, registry.task_entry("ddpg"))) == 3
    path.write_text(RECIPE + "sead: 1\n")
    assert mistyped(load(path, ["model.lrr=1"]), registry.task_entry("ddpg")) == [], "all of it is said together"


def test_a_task_of_this_folder_is_read_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "raise SystemExit('imported')\nimport lightning as L\nclass Base(L.LightningModule):\n"
        "    def __init__(self, width: int = 1): ...\nclass Net(Base):\n    def __init__(self, lr, **rest): ...\n"
        "class Unknown(nowhere.Thing):\n    def __init__(self, a, **rest): ...\n"
    )
    assert keywords("mine:Net") == ("lr", "width")
    assert keywords("mine:Unknown") is None
    assert keywords("mine:Missing") is None
    assert keywords("no_such_package.deep:X") is None


@pytest.mark.slow
def test_a_check_without_imports_imports_nothing_heavy(tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE + "callbacks: [{class_path: mine.Callback}]\n")
    (tmp_path / "mine.py").write_text("raise SystemExit('imported')")
    code = (
        "import sys\nfrom lab.cli import main\n"
        "try: main(['check', '--no-import', 'r.yaml'])\n"
        "except SystemExit as left: print(left.code, [m for m in ('torch', 'lightning', 'mine') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "ok r.yaml\n0 []\n"
    assert ran.stderr.startswith("not checked: values of model, data and trainer")
