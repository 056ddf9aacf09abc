"""Words that are nearly right: each answer says what was meant and what to type."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import registry

Lab = Callable[..., Any]
STUDY = "recipe: mine.yaml\nsampler: grid\nspace: {model.lr: [0.1, 0.2]}\n"
FOREIGN = {  # written as other programs have it
    "hydra.yaml": "defaults: [ddpg]\ntask: ddpg\n",
    "fit.yaml": "task: ddpg\nfit: {model: {lr: 0.1}}\n",
    "own.yaml": "task: {model: 'x:Y', datamodule: 'x:Z'}\n",
    "sweep.yaml": "recipe: mine.yaml\nmethod: random\nparameters: {model.lr: {min: 0.1, max: 0.2}}\n",
    "optuna.yaml": (
        "recipe: mine.yaml\nsampler: bayes\nn_trials: 3\nmode: maximize\n"
        "space: {model.lr: {low: 0.1, high: 0.2, log: true}}\n"
    ),
    "flat.yaml": "recipe: mine.yaml\nsampler: grid\nspace: {lr: [0.1, 0.2]}\n",
}
NO_RUNS = "mlflow.db yet; start one: lab run ddpg_pendulum"


@pytest.fixture
def here(lab: Lab) -> Lab:
    """`lab` in a folder with a recipe, a study, and a folder with another recipe."""
    Path("mine.yaml").write_bytes(registry.find_recipe("ddpg_pendulum").read_bytes())
    Path("my_study.yaml").write_text(STUDY)
    Path("folder").mkdir()
    Path("folder/deep.yml").write_text("task: ddpg\n")
    Path("train.py").write_text("import nowhere")
    for name, text in FOREIGN.items():
        Path(name).write_text(text)
    return lab


@pytest.mark.parametrize(
    ("command", "words"),
    [
        # names of recipes, studies, claims and tasks
        ("run ddpg", "ddpg is a task; its recipes are ddpg_mountaincar, ddpg_pendulum: lab run ddpg_pendulum"),
        ("run ddgp_pendulum", "did you mean 'ddpg_pendulum'?"),
        ("run unet_clip", "unet_clip is a claim, not a recipe: lab claim unet_clip"),
        ("run pendulum_table", "pendulum_table is a study, not a recipe: lab tune pendulum_table"),
        ("run unet_clpi", "did you mean the claim 'unet_clip'?"),
        ("run pendulum_tabel", "did you mean the study 'pendulum_table'?"),
        ("run nothing_like_it", "`lab ls` lists them"),
        ("tune ddpg_pendulum", "ddpg_pendulum is a recipe, not a study: lab run ddpg_pendulum"),
        ("tune pendulum_tabel", "did you mean 'pendulum_table'?"),
        ("tune ddpg", "ddpg is a task; its recipes are"),
        ("claim pendulum_table", "pendulum_table is a study, not a claim: lab tune pendulum_table"),
        ("claim unet_clpi", "did you mean 'unet_clip'?"),
        ("show unet_clpi", "did you mean 'unet_clip'?"),
        ("show ddpgg", "did you mean the task 'ddpg'?"),
        ("check ddpg", "ddpg is a task; its recipes are"),
        ("cp ddpg_pendulm", "did you mean 'ddpg_pendulum'?"),
        ("ls pendulun", "nothing matches 'pendulun'"),
        ("data show mnistt", "error: no data set 'mnistt'; did you mean 'mnist'?"),
        ("data fetch mnistt", "error: no data set 'mnistt'; did you mean 'mnist'?"),
        ("tune apply nothing", "no study 'nothing'"),
        # files of this folder
        ("run mine", "did you mean 'mine.yaml'?"),
        ("run mien.yaml", "did you mean 'mine.yaml'?"),
        ("run mine.yml", "did you mean 'mine.yaml'?"),
        ("run deep.yaml", "did you mean 'folder/deep.yml'?"),
        ("run my_study.yaml", "my_study.yaml is a study, not a recipe: lab tune my_study.yaml"),
        ("tune mine.yaml", "mine.yaml is a recipe, not a study: lab run mine.yaml"),
        ("tune my_studdy.yaml", "did you mean 'my_study.yaml'?"),
        ("run folder", "'folder' is a folder, not a recipe file"),
        ("check mine", "did you mean 'mine.yaml'?"),
        ("check lr=3", "a setting, which stands behind -o here: -o lr=3"),
        # keys at another level, or under another library's name
        ("run mine.yaml lr=0.1", "lr: unknown key 'lr'; did you mean 'model.lr'?"),
        ("run mine.yaml batch_size=3", "did you mean 'data.batch_size'?"),
        ("run mine.yaml max_epochs=3", "did you mean 'trainer.max_epochs'?"),
        ("run mine.yaml name=x", "did you mean 'track.name'?"),
        ("run mine.yaml epochs=3", "did you mean 'trainer.max_epochs'?"),
        ("run mine.yaml learning_rate=3", "did you mean 'model.lr'?"),
        ("run mine.yaml model.learning_rate=3", "did you mean 'model.lr'?"),
        ("run mine.yaml model.batch_size=3", "did you mean 'data.batch_size'?"),
        ("run mine.yaml data.lr=3", "did you mean 'model.lr'?"),
        ("run mine.yaml data.total_timesteps=3", "did you mean 'data.total_steps'?"),
        ("run mine.yaml trainer.gpus=1", "did you mean 'trainer.devices'?"),
        ("run mine.yaml model.lrr=1", "did you mean 'lr'?"),
        ("run mine.yaml sed=1", "did you mean 'seed'?"),
        ("run mine.yaml model.seed=1", "unknown key 'seed'; 'seed' stands at the top of a recipe, not in 'model'"),
        ("check mine.yaml --no-import -o lr=1", "did you mean 'model.lr'?"),
        ("run mine.yaml task=ddpgg", "no task 'ddpgg'; did you mean 'ddpg'?"),
        # settings written as other programs have them
        ("run mine.yaml --lr 0.1", "settings have no dashes: model.lr=0.1"),
        ("run mine.yaml --model.lr=0.1", "settings have no dashes: model.lr=0.1"),
        ("run mine.yaml --seed 3", "settings have no dashes: seed=3"),
        ("run mine.yaml --epochs=3", "settings have no dashes: trainer.max_epochs=3"),
        ("run mine.yaml --batch-size 64", "settings have no dashes: data.batch_size=64"),
        ("run mine.yaml --xr 0.1", "lab run has no option --xr; lab run --help shows what it takes"),
        ("run mine.yaml --dryrun", "lab run has no option --dryrun; did you mean '--dry-run'?"),
        ("run mine.yaml model.lr 0.1", "the value is missing; write model.lr=0.1, without spaces"),
        ("run mine.yaml model.lr =0.1", "the value is missing; write model.lr=0.1, without spaces"),
        # as Hydra, LightningCLI, CleanRL and Stable-Baselines3 have them
        ("run --config mine.yaml", "the recipe comes first: lab run mine.yaml"),
        ("run -c mine.yaml", "lab run has no option -c; the recipe comes first"),
        ("run --config-name=mine", "the recipe comes first"),
        ("run mine.yaml --multirun model.lr=0.1", "several values are a study: lab tune STUDY"),
        ("run mine.yaml -m model.lr=0.1", "several values are a study: lab tune STUDY"),
        ("run mine.yaml +model.lr=0.1", "override +model.lr=0.1: write model.lr=0.1"),
        ("run mine.yaml ++data.eval_every=9", "write data.eval_every=9"),
        ("run mine.yaml ~model.lr", "a key is not taken away but set; write model.lr=null"),
        ("run mine.yaml model/lr=0.1", "write model.lr=0.1"),
        ("run mine.yaml model.lr:0.1", "write model.lr=0.1"),
        ("run mine.yaml other.yaml", "one recipe at a time; the words behind it are settings"),
        ("run mine.yaml seed=0,1,2", "for several seeds: --seeds N"),
        ("run mine.yaml seeds=3", "several seeds: lab run RECIPE --seeds N"),
        ("run mine.yaml --repeat 5", "--seeds N trains with N seeds"),
        ("run mine.yaml --n-jobs 5", "--workers N is the number of parallel trainings"),
        ("run mine.yaml --env-id Pendulum-v1", "settings have no dashes: data.env=Pendulum-v1"),
        ("run mine.yaml env=Pendulum-v1", "did you mean 'data.env'?"),
        ("run mine.yaml --fast-dev-run", "settings have no dashes: trainer.fast_dev_run=true"),
        ("run mine.yaml --cuda", "settings have no dashes: trainer.accelerator=gpu"),
        ("run mine.yaml --device cuda", "settings have no dashes: trainer.accelerator=cuda"),
        ("run mine.yaml --resume", "lab resume RUN continues a run"),
        ("run mine.yaml --ckpt_path last.ckpt", "start_from.run=RUN begins with its weights"),
        ("run mine.yaml ckpt_path=last.ckpt", "unknown key 'ckpt_path'; lab resume RUN continues a run"),
        ("run mine.yaml --logdir out", "runs are recorded in MLflow, and lab ui shows them"),
        ("run mine.yaml --debug", "LAB_DEBUG=1 before the command"),
        ("run mine.yaml --list", "lab ls lists the recipes"),
        ("run mine.yaml patience=5", "it is a callback: callbacks: [{class_path:"),
        ("run mine.yaml trainer.early_stopping=true", "it is a callback"),
        ("run mine.yaml seed_everything=3", "did you mean 'seed'?"),
        ("run mine.yaml track.wandb=true", "track.mirror=[tensorboard] copies one"),
        ("run mine.yaml optimizer.lr=0.1", "unknown key 'lr'; did you mean 'model.lr'?"),
        ("run train.py", "train.py is a Python file; a recipe names its classes"),
        ("run mine.yaml task=lab.rl.ddpg:DDPG", "classes are written out: task: {module: lab.rl.ddpg:DDPG"),
        ("check own.yaml --no-import", "unknown key 'datamodule'; did you mean 'task.data'?"),
        ("check own.yaml --no-import", "unknown key 'model'; did you mean 'task.module'?"),
        ("check hydra.yaml --no-import", "unknown key 'defaults'; a recipe is one file, without groups"),
        ("check fit.yaml --no-import", "unknown key 'fit'; move its keys one level up"),
        # studies as Optuna and W&B have them
        ("tune my_study.yaml --n-trials 5", "settings have no dashes: trials=5"),
        ("tune my_study.yaml --jobs 2", "--workers N is the number of parallel trainings"),
        ("tune my_study.yaml model.lr=0.1", "unknown key 'model'; for every trial, `set: {model.lr: 0.1}`"),
        ("tune sweep.yaml", "unknown key 'method'; did you mean 'sampler'?"),
        ("tune sweep.yaml", "unknown key 'parameters'; did you mean 'space'?"),
        ("tune optuna.yaml", "unknown key 'n_trials'; did you mean 'trials'?"),
        ("tune optuna.yaml", "found 'maximize'; did you mean 'max'?"),
        ("tune optuna.yaml", "found 'bayes'; did you mean 'tpe'?"),
        ("tune optuna.yaml", "space.model.lr: expected a list of values, {float: [low, high]} or {int: [low, high]}"),
        ("tune flat.yaml", "space.lr.0: cannot be part of the space; did you mean 'model.lr'?"),
        # commands
        ("help run", "did you mean: lab run --help"),
        ("runs --limit 5", "lab runs has no option --limit; --last N lists the N latest runs"),
        ("collect last --n-episodes 3", "--episodes N records N episodes"),
        ("play last --render", "--video FILE.mp4 is the file to write"),
        ("train mine.yaml", "did you mean: lab run mine.yaml"),
        ("fit mine.yaml lr=1", "did you mean: lab run mine.yaml lr=1"),
        ("test last", "did you mean: lab eval last"),
        ("list", "did you mean: lab ls"),
        ("sweep my_study.yaml", "did you mean: lab tune my_study.yaml"),
        ("rnus", "did you mean: lab runs"),
        ("ddpg_pendulum", "did you mean: lab run ddpg_pendulum"),
        ("mine.yaml", "did you mean: lab run mine.yaml"),
        ("unet_clip", "did you mean: lab claim unet_clip"),
        ("rum mine.yaml", "did you mean: lab run mine.yaml"),
        ("download mnist", "did you mean: lab data fetch mnist"),
        ("optimise my_study.yaml", "did you mean: lab tune my_study.yaml"),
        ("data fetsh mnist", "lab data has no command 'fetsh'; did you mean 'fetch'?"),
        ("data remove mnist", "lab data has no command 'remove'; it has ls, fetch, show"),
        ("plugin create x", "lab plugin has no command 'create'; it has new"),
        # values and words that a command does not take
        ("run mine.yaml --seeds 0", "--seeds 0: expected a whole number from 2 to 10000"),
        ("run mine.yaml --seeds two", "--seeds two: expected a whole number from 2 to 10000"),
        ("run mine.yaml --folds 1", "--folds 1: expected a whole number from 2 to 10000"),
        ("run mine.yaml --workers 0", "--workers 0: expected a whole number of 1 or more"),
        ("runs --last 0", "--last 0: expected a whole number of 1 or more"),
        ("runs --last", "--last: the value is missing"),
        ("eval last --episodes 0", "--episodes 0: expected a whole number of 1 or more"),
        ("eval last --checkpoint bset", "--checkpoint bset: expected best or last; did you mean 'best'?"),
        ("compare a --mode maxx", "--mode maxx: expected min or max; did you mean 'max'?"),
        ("tune my_study.yaml --launcher rayy", "expected local or ray; did you mean 'ray'?"),
        ("tune apply x --trial -1", "--trial -1: expected a whole number of 0 or more"),
        ("data show mnist --size 2", "--size 2: expected a whole number of 8 or more"),
        ("ui --port 99999", "--port 99999: expected a whole number from 1 to 65535"),
        ("run mine.yaml --json=yes", "--json: takes no value"),
        ("run mine.yaml --offlin", "did you mean '--offline'?"),
        ("runs --experimnt x", "did you mean '--experiment'?"),
        ("run", "lab run needs RECIPE: A YAML file, or the name of an installed recipe"),
        ("compare", "lab compare needs WHAT: Recipes, experiments, studies, or runs by name or id"),
        ("play last", "lab play needs --video: The MP4 file to write"),
        ("runs extra", "lab runs takes no 'extra'; lab runs --help shows what it takes"),
        ("claim unet_clip lr=3", "lab claim takes no 'lr=3'"),
        ("tune my_study.yaml --lr 3", "in my_study.yaml for every trial, `set: {model.lr: 3}`"),
        ("tune my_study.yaml --trials 3", "settings have no dashes: trials=3"),
        ("run mine.yaml --uri http://host", "settings have no dashes: track.uri=http://host"),
        # options that do not go together, and places that are not there
        ("run mine.yaml --workers 2", "--workers needs --seeds or --folds"),
        ("compare a --curve x", "--curve needs --plot FILE"),
        ("compare a --plot x.gif", "--plot x.gif: expected a name ending in .png, .pdf or .svg"),
        ("cp mine.yaml nodir/y.yaml", "there is no folder nodir; make it first: mkdir -p nodir"),
        ("runs --uri sqlite:///folder", "is a folder and no database; move it away"),
        ("runs --uri sqlite:///mine.yaml", "is no SQLite database; move the file away"),
        # a folder without runs
        ("runs --experiment nope", NO_RUNS),
        ("compare ddpg_pendulum", NO_RUNS),
        ("eval last", NO_RUNS),
        ("resume last", NO_RUNS),
        ("play last --video x.mp4", NO_RUNS),
    ],
    ids=lambda value: value if isinstance(value, str) and "'" not in value else "",
)
def test_a_miss_gets_the_right_word(here: Lab, command: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    outcome = here(*command.split())
    assert words in outcome.err
    assert (outcome.code, outcome.out) == (2, "")
    left = {path.name for path in Path().iterdir()} - {"mine.yaml", "my_study.yaml", "folder", "train.py", *FOREIGN}
    assert not left, "a mistake, and reading, leave nothing behind"


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("runs", 0, NO_RUNS),
        ("runs --uri sqlite:///nowhere.db", 0, "nowhere.db yet; start one: lab run ddpg_pendulum"),
        ("studies", 0, "no studies here yet; start one: lab tune pendulum_search"),
        ("ui", 1, NO_RUNS),
    ],
)
def test_an_empty_folder_stays_empty(lab: Lab, command: str, code: int, words: str) -> None:
    outcome = lab(*command.split())
    assert (outcome.code, outcome.out) == (code, "")
    assert words in outcome.err
    assert not list(Path().iterdir())


def test_the_copy_of_a_recipe_names_its_own_command(lab: Lab) -> None:
    for name, verb in (("ddpg_pendulum", "run"), ("pendulum_table", "tune"), ("unet_clip", "claim")):
        assert lab("cp", name, "a copy.yaml", "--force").code == 0
        assert Path("a copy.yaml").read_text().splitlines()[0] == f"# lab {verb} 'a copy.yaml'"


@pytest.mark.parametrize("name", [*registry.recipes(), *registry.recipes("study"), *registry.recipes("claim")])
def test_the_header_of_an_installed_file_names_a_command_for_every_folder(name: str) -> None:
    kind, path = registry.find_file(name)
    verb = {"recipe": "run", "study": "tune", "claim": "claim"}[kind]
    assert path.read_text().splitlines()[0].startswith(f"# lab {verb} {name}")


OWN = """\
import lightning as L
from lab.errors import BadSetting


class Model(L.LightningModule):
    def __init__(self, width: int = 1) -> None:
        super().__init__()
        if width > 5:
            raise BadSetting("width", "too wide")


class Data(L.LightningDataModule):
    def __init__(self, rows: int = 1) -> None:
        super().__init__()
        if rows > 5:
            raise BadSetting("rows", "too many")

    def train_dataloader(self): ...
"""
RECIPE = """\
task: {module: "refusing:Model", data: "refusing:Data"}
model: {width: 9}
data: {rows: 9}
trainer: {max_epochs: 1, precision: 16-mixed, accelerator: cpu, devices: 0}
"""


SLOW = """
import sys
from lab.cli import main

for words in sys.argv[1:]:
    try:
        main(words.split())
    except SystemExit as left:
        assert left.code == 2, words
assert not {"torch", "lightning", "mlflow"} & sys.modules.keys()
"""


@pytest.mark.usefixtures("here")
def test_a_wrong_setting_is_said_before_anything_slow_is_imported() -> None:
    Path("misspelt.yaml").write_text("recipe: mine.yaml\nsampler: grid\nspace: {model.lrr: [0.1, 0.2]}\n")
    commands = [
        "run mine.yaml model.gama=0.9",
        "run mine.yaml model.gama=0.9 --dry-run",
        "check mine.yaml -o model.gama=0.9",
        "run mine.yaml model.gamma=1.5",
        "check mine.yaml -o model.gamma=1.5",
        "tune misspelt.yaml",
        "check misspelt.yaml",
    ]
    told = subprocess.run([sys.executable, "-c", SLOW, *commands], capture_output=True, text=True, check=True).stderr
    assert told.count("did you mean 'gamma'?") == 3
    assert told.count("model.gamma: expected a number from 0 to 1, found 1.5") == 2
    assert told.count("space.model.lrr.0: unknown key 'lrr'; did you mean 'lr'?") == 2


def test_constructors_that_refuse_are_all_heard(lab: Lab) -> None:
    Path("refusing.py").write_text(OWN)
    Path("r.yaml").write_text(RECIPE)
    said = lab("check", "r.yaml").err
    assert "r.yaml:2: model.width: too wide" in said
    assert "r.yaml:3: data.rows: too many" in said
    assert "r.yaml:4: trainer" in said
    facts = OWN + "\n    def facts(self):\n        return {}\n"
    Path("refusing.py").write_text(facts)
    Path("r.yaml").write_text(RECIPE.replace("refusing", "refusing2"))
    shutil.move("refusing.py", "refusing2.py")
    assert "model.width: too wide" in lab("check", "r.yaml").err, "facts of the data may be missing"
