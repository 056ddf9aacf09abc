"""Keys that are judged by source text: as the constructors themselves judge them, and without an import."""

import subprocess
import sys

import pytest

from lab import registry
from lab.errors import RecipeError
from lab.keywords import REQUIRED
from lab.keywords import keywords as imported
from lab.recipe import load
from lab.recipe.static import TRAINER, keywords, mistyped, task_classes, types, unknown_keys
from lab.runner.assemble import assemble

RECIPE = "task: ddpg\nmodel: {lr: 0.1}\ndata: {env: Pendulum-v1}\ntrainer: {devices: 1}\n"


@pytest.mark.parametrize("name", [plugin.name for plugin in registry.plugins(load=False) if plugin.value[:4] == "lab."])
def test_the_source_says_the_same_keywords_and_types_as_the_class(name, tmp_path):
    entry = registry.task_entry(name)
    if entry is None:
        return  # a folder of recipes
    task, paths = registry.find_task(name), task_classes(entry)
    assert set(keywords(paths["model"])) == set(imported(task.module)[0])
    assert set(keywords(paths["data"])) == set(imported(task.data)[0])
    for path, owner in ((paths["model"], task.module), (paths["data"], task.data)):
        known = types(path)
        assert {key: imported(owner)[0][key].hint for key in known} == known
        assert len(known) > 0.7 * len(keywords(path))
    (tmp_path / "r.yaml").write_text(f"task: {name}\nmodel: {{qqqqqqqq: 1}}\n")
    [(_, message)] = unknown_keys(load(tmp_path / "r.yaml"), entry)
    facts = [key for key, each in imported(task.module)[0].items() if each.default is REQUIRED]
    listed = message.rpartition(": ")[2].split(", ")
    assert listed
    assert not {*facts} & {*listed}, "what the data says is nothing that a recipe could set"


def test_the_trainers_keywords():
    from lightning import Trainer

    assert set(keywords(TRAINER)) == set(imported(Trainer)[0])
    assert {key: imported(Trainer)[0][key].hint for key in types(TRAINER)} == types(TRAINER)
    assert {"max_epochs", "gradient_clip_val", "limit_train_batches"} <= types(TRAINER).keys()


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


def test_wrong_values_are_said_as_the_whole_check_says_them(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE)
    overrides = ["model.gamma=1.5", "model.lr=fast", "model.noise=gausian", "data.batch_size=0", "data.envv=2"]
    overrides += ["model.hidden=[8, 0]", "trainer.max_epochs=few", "seed=-1"]
    early = mistyped(load(path, overrides), registry.task_entry("ddpg"))
    assert len(early) == len(overrides)
    with pytest.raises(RecipeError) as whole:
        assemble(load(path, [*overrides, "data.env=Pendulm-v1"]))  # which only the constructor knows
    assert set(early) <= set(whole.value.problems)
    assert len(whole.value.problems) == len(overrides) + 1


def test_a_task_of_this_folder_is_read_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "raise SystemExit('imported')\nimport lightning as L\nclass Base(L.LightningModule):\n"
        "    def __init__(self, width: int = 1): ...\nclass Net(Base):\n    def __init__(self, lr, **rest): ...\n"
        "class Unknown(nowhere.Thing):\n    def __init__(self, a, **rest): ...\n"
    )
    assert keywords("mine:Net") == ("lr", "width")
    assert types("mine:Net") == {"width": int}
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
