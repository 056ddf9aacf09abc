"""Every installed task keeps the contract, and the contract notices when one does not."""

import os
import random
from typing import Annotated, Any

import numpy as np
import pytest
import torch
import yaml
from annotated_types import Gt
from lightning import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset

from lab import testing
from lab.errors import BadSetting
from lab.plots import figure, log_figure
from lab.recipe import load
from lab.registry import find_recipe, recipes, task_names
from lab.task import Task
from lab.testing import ContractError
from lab.testing.interruption import check_repeats


def quick(name, folder):
    """A recipe with short episodes or few images that need no network, where there is one; None is the task's first."""
    known = (f"{name}_{data}" for data in ("pendulum", "digits", "scenes", "faces"))
    chosen = next((recipe for recipe in known if recipe in recipes()), None)
    if chosen is None or chosen.endswith(("_pendulum", "_digits")):
        return chosen
    recipe = yaml.safe_load(find_recipe(chosen).read_text())
    recipe["data"]["images"] = 520
    file = folder / f"{chosen}.yaml"
    file.write_text(yaml.safe_dump(recipe))
    return file


@pytest.mark.slow
@pytest.mark.parametrize("name", task_names())
def test_every_task_keeps_the_contract(name, tracked):
    testing.check_task(name, recipe=quick(name, tracked), tmp_path=tracked)


@pytest.mark.long
@pytest.mark.parametrize("name", task_names())
def test_every_task_resumes_from_twenty_random_points(name, tracked):
    testing.check_task(name, recipe=quick(name, tracked), tmp_path=tracked, kills=[random.random() for _ in range(20)])


@pytest.mark.long
def test_an_agent_with_drifting_noise_resumes_from_twenty_random_points(tracked):
    recipe = tracked / "drifting.yaml"
    text = find_recipe("ddpg_pendulum").read_text()
    recipe.write_text(text.replace("  gamma: 0.99\n", "  gamma: 0.99\n  noise: ornstein_uhlenbeck\n"))
    assert load(recipe).model["noise"] == "ornstein_uhlenbeck"
    testing.check_task("ddpg", recipe=recipe, tmp_path=tracked, kills=[random.random() for _ in range(20)])


@pytest.mark.long
def test_environments_in_processes_resume_from_twenty_random_points(tracked):
    recipe = tracked / "processes.yaml"
    recipe.write_text(find_recipe("ppo_cartpole").read_text().replace("data:    {", "data: {vectorization: async, "))
    assert load(recipe).data["vectorization"] == "async"
    whole = testing.train(recipe, tracked, seed=0, size=testing.KILLED)
    testing.check_resume(recipe, tracked, whole, [random.random() for _ in range(20)])


# ---- a task that keeps it, and others that each break one clause ----------------------------------------------------


class Numbers(LightningDataModule):
    """Random points, in the same order in every epoch.

    Args:
        n: points.
    """

    def __init__(self, n: Annotated[int, Gt(0)] = 16) -> None:
        super().__init__()
        self.points = TensorDataset(torch.linspace(-1, 1, 2 * n).reshape(n, 2))

    def facts(self) -> dict[str, Any]:
        return {"size": 2}

    def train_dataloader(self):
        return DataLoader(self.points, 4)

    val_dataloader = test_dataloader = train_dataloader


class Net(LightningModule):
    """Learns to add.

    Args:
        size: numbers to add.
        lr: learning rate.
    """

    def __init__(self, size: int, lr: Annotated[float, Gt(0)] = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.layer = torch.nn.Linear(size, 1)
        self.example_input_array = torch.ones(1, size)

    def forward(self, x):
        return self.layer(x)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def training_step(self, batch):
        (x,) = batch
        return (self(x) - x.sum(1, keepdim=True)).square().mean()

    def validation_step(self, batch):
        self.log("val/loss", self.training_step(batch))

    def test_step(self, batch):
        self.log("test/loss", self.training_step(batch))

    def on_test_end(self):
        with figure() as (drawing, _):
            log_figure(self, "empty.png", drawing)


class Unseeded(Net):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        noise = int.from_bytes(os.urandom(4), "little") / 2**32
        torch.nn.init.constant_(self.layer.bias, noise)


class Fixed(Net):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        torch.nn.init.zeros_(self.layer.weight)
        torch.nn.init.zeros_(self.layer.bias)


class Pictureless(Net):
    def on_test_end(self):
        pass


class Forgetful(Net):
    def __init__(self, size: int) -> None:
        LightningModule.__init__(self)
        self.lr = 0.1
        self.layer = torch.nn.Linear(size, 1)


class Hoarding(Net):
    def __init__(self, size: int, activation: Any = None) -> None:
        super().__init__(size)
        self.hparams["activation"] = activation or torch.nn.ReLU()


class Moody(Net):
    mood = 1.0

    def on_fit_start(self):
        self.mood = 2.0  # no buffer, so no checkpoint holds it

    def forward(self, x):
        return self.mood * super().forward(x)


class Wordless(Net):
    words: tuple[bytes, ...] = ()

    def on_fit_start(self):
        self.words = (b"sun",)  # in no state_dict

    def assets(self) -> dict[str, bytes]:
        return {f"{i}.txt": word for i, word in enumerate(self.words)} or {"0.txt": b""}


class Almost(Net):
    def pretrained(self):
        pass


@pytest.fixture
def recipe(tmp_path):
    """Writes a recipe for a module and a data module of this file."""

    def write(module: type = Net, data: type = Numbers):
        file = tmp_path / "planted.yaml"
        classes = f"module: {__name__}:{module.__name__}, data: {__name__}:{data.__name__}"
        file.write_text(f"task: {{{classes}, monitor: val/loss}}\n")
        return file

    return write


def task(module: type = Net, data: type = Numbers) -> Task:
    return Task(module=module, data=data, monitor="val/loss", mode="min")


@pytest.mark.slow
def test_a_sound_task_passes_every_clause(recipe, tracked):
    file = recipe()
    testing.check_parameters(task())
    testing.check_facts(file)
    run = testing.train(file, tracked, seed=0)
    testing.check_tracking(task(), run)
    testing.check_checkpoints(task(), run)
    testing.check_logged_model(task(), run)
    testing.check_seeds(run, testing.train(file, tracked, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "clause", "sentence"),
    [
        (Pictureless, testing.check_tracking, "the run has no plot"),
        (Forgetful, testing.check_checkpoints, r"TypeError: .*'size'[\s\S]*save_hyperparameters"),
        (Moody, testing.check_logged_model, "another output"),
        (Wordless, testing.check_logged_model, "has other assets than the logged model: keep them in the `get_extra"),
    ],
)
def test_a_run_that_leaves_too_little_is_noticed(module, clause, sentence, recipe, tracked):
    run = testing.train(recipe(module), tracked, seed=0)
    with pytest.raises(ContractError, match=sentence):
        clause(task(module), run)


def test_a_name_that_is_nearly_a_hooks_is_noticed():
    testing.check_hooks(task())
    with pytest.raises(
        ContractError, match=r"test_contract.Almost.pretrained is never called by lab; the hook is called"
    ):
        testing.check_hooks(task(Almost))


@pytest.mark.slow
def test_a_task_with_randomness_of_its_own_is_noticed(recipe, tracked):
    file = recipe(Unseeded)
    run = testing.train(file, tracked, seed=0, size=testing.KILLED)
    with pytest.raises(ContractError, match="the same seed twice gives different weights"):
        check_repeats(file, tracked, run)


@pytest.mark.slow
def test_a_task_that_ignores_the_seed_is_noticed(recipe, tracked):
    runs = [testing.train(recipe(Fixed), tracked, seed) for seed in (0, 1)]
    with pytest.raises(ContractError, match="two different seeds give the same weights"):
        testing.check_seeds(*runs)


@pytest.mark.slow
def test_a_run_that_fails_is_noticed(recipe, tracked):
    with pytest.raises(ContractError, match=r"planted.yaml trainer.* failed with LabError: .* could not be read back"):
        testing.train(recipe(Hoarding), tracked, seed=0)


@pytest.mark.slow
def test_a_metric_that_is_never_logged_is_noticed(recipe, tracked):
    run = testing.train(recipe(), tracked, seed=0)
    with pytest.raises(ContractError, match=r"monitors 'val/accuracy', but the run logged: .*val/loss"):
        testing.check_tracking(Task(module=Net, data=Numbers, monitor="val/accuracy", mode="max"), run)


# ---- parameters ------------------------------------------------------------------------------------------------------


class Undocumented(Net):
    """No word about its own parameter."""

    def __init__(self, size: int, momentum: float = 0.1) -> None:
        super().__init__(size)
        self.momentum = momentum


class Untyped(Net):
    """Says what but not of which type.

    Args:
        size: numbers to add.
    """

    def __init__(self, size) -> None:
        super().__init__(size)


class Anything(Net):
    """Takes whatever comes.

    Args:
        size: numbers to add.
    """

    def __init__(self, size: int, **rest: Any) -> None:
        super().__init__(size)
        self.rest = rest


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (Undocumented, "Undocumented: momentum is missing under `Args:`"),
        (Untyped, "Untyped: size has no type"),
        (Anything, r"Anything: \*\*rest: Any is no plain keyword"),
    ],
)
def test_a_careless_constructor_is_noticed(module, sentence):
    with pytest.raises(ContractError, match=sentence):
        testing.check_parameters(task(module))


# ---- facts -----------------------------------------------------------------------------------------------------------


class Fickle(Numbers):
    def facts(self):
        self.asked = getattr(self, "asked", 0) + 1
        return {"size": self.asked}


class Foreign(Numbers):
    def facts(self):
        return {"size": np.int64(2)}


class Slow(Numbers):
    def facts(self):
        import time

        time.sleep(1.1)
        return {"size": 2}


@pytest.mark.parametrize(
    ("data", "sentence"), [(Fickle, "not the same twice"), (Foreign, "only plain values"), (Slow, "must be cheap")]
)
def test_bad_facts_are_noticed(data, sentence, recipe):
    with pytest.raises(ContractError, match=sentence):
        testing.check_facts(recipe(data=data))


class Elsewhere(Numbers):
    def facts(self):
        raise BadSetting("n", "needs a package that is not installed: pip install 'torch-lab[points]'")


def test_data_whose_package_is_missing_is_not_asked(recipe):
    testing.check_facts(recipe(data=Elsewhere))


# ---- recipes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("task: moons\n", ":1: the first line is the command"),
        ("# two moons\n# expect 0.97\ntask: moons\n", ":1: the first line is the command"),
        ("# lab run suns\n# expect 0.97\ntask: moons\n", ":1: the first line is the command"),
        ("# lab run moons\ntask: moons\n# expect 0.97\n", ":2: the comment below says which score"),
        ("# lab run moons\n# a very good one\ntask: moons\n", ":2: the comment below says which score"),
        ("", ":1: the first line is the command"),
    ],
)
def test_a_recipe_without_a_proper_header_is_noticed(text, sentence, tmp_path):
    file = tmp_path / "moons.yaml"
    file.write_text(text)
    with pytest.raises(ContractError, match=sentence):
        testing.check_header(file)


@pytest.mark.parametrize("command", ["lab run moons", "lab run recipes/moons.yaml"])
def test_a_proper_header_passes(command, tmp_path):
    file = tmp_path / "moons.yaml"
    file.write_text(f"# {command}\n# Moons;\n# expect a test/accuracy of 0.97.\n")
    testing.check_header(file)


def test_a_task_without_a_recipe_is_noticed():
    with pytest.raises(ContractError, match="no installed recipe says `task: nobody`"):
        testing.own_recipes("nobody")
