"""Every installed task keeps the contract, and the contract notices when one does not."""

import json
import os
import random
import socket
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from annotated_types import Gt
from lightning import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, TensorDataset

from lab import testing
from lab.data import TableDataModule
from lab.errors import BadSetting
from lab.plots import figure, log_figure
from lab.recipe import load
from lab.registry import find_recipe, find_task, task_names
from lab.rl.data.loaders import CollectionData
from lab.rl.tabular.data import TabularData
from lab.task import Task
from lab.testing import ContractError, clauses
from lab.testing.clauses import needs_nothing, no_network
from lab.testing.evaluation import check_metrics, warn_of_global_generators
from lab.testing.memory import MemoryLogger
from lab.testing.resuming import check_resume, whole
from lab.testing.short import small
from tests.parameters import long_but

# Shorter sequences and smaller pictures where they take most of the time, an exported recurrent network's above all.
SMALLER = {
    "caption": ["model.hidden=16"],
    "caption_clips": ["model.hidden=16", "model.temporal=mean"],
    "classify_clips": ["model.hidden=16", "model.temporal=mean"],
    "classify_text": ["model.max_length=24"],
    "clip": ["data.max_images=60"],
    "cycle_gan": ["data.max_images=100", "model.width=4", "model.depth=1"],
    "decision_transformer": ["model.context=8"],
    "detect": ["data.max_images=60", "model.network=grid"],
    "diffusion": [
        "data.max_images=100",
        "data.name=digits",
        "model.patch=1",
        "model.sampling_steps=2",
        "model.widths=[16]",
    ],
    "forecast": ["data.window=24", "model.network=tcn"],
    "gan": ["data.max_images=100", "data.name=digits"],
    "keypoints": ["data.max_images=60", "model.depth=3"],
    "language_model": ["model.context=16", "model.depth=1"],
    "maml": ["data.num_tasks=400", "data.val_tasks=20", "data.test_tasks=20"],
    "mbpo": ["model.hidden=[16]", "model.model_hidden=[16]", "model.num_members=2"],
    "pearl": ["model.hidden=[16]", "model.encoder_hidden=[16]"],
    "pets": ["model.model_hidden=[16]", "model.horizon=3", "model.num_candidates=10", "model.num_members=2"],
    "recurrent_dqn": ["data.sequence_length=8", "model.burn_in=2"],
    "recurrent_ppo": ["model.sequence_length=16", "data.num_steps=16"],
    "regress_sequence": ["data.length=12"],
    "segment": ["data.max_images=60", "model.encoder=timm:test_resnet", "model.depth=3"],
    "seq2seq": ["model.max_length=20", "model.depth=1"],
    "super_resolution": ["data.max_images=100"],
    "tag_text": ["model.max_length=24"],
    "text_to_image": ["data.max_images=100", "model.sampling_steps=2", "model.widths=[16]"],
}


def shorter(name: str) -> list[str]:
    """Overrides for the contract of a task; episodes of evaluation and of the video end early, too."""
    overrides = list(SMALLER.get(name, ()))
    data: Any = find_task(name).data
    if issubclass(data, CollectionData) and not issubclass(data, TabularData):  # a table takes no wrapper
        limit = {"class_path": "TimeLimit", "init_args": {"max_episode_steps": 50}}
        overrides.append(f"data.wrappers={json.dumps([limit])}")
    return overrides


def one_for_each_kind_of_data() -> set[str]:
    """Names of built-in tasks, none of which has the data of another one or data that descend from it.

    Supervised tasks share one module and one data module, so that there is one for each field. A contract trains
    several times, so that with all tasks it would be the longest test by far. A plugin's own tests hold it to the
    contract.
    """
    found: dict[str, Any] = {name: find_task(name) for name in task_names()}
    tasks = {name: task for name, task in found.items() if task.module.__module__.startswith("lab.")}
    chosen: dict[str, type] = {}
    fields: set[str] = set()
    for name in sorted(tasks, key=lambda name: (len(tasks[name].data.__mro__), len(tasks[name].module.__mro__), name)):
        task = tasks[name]
        field = task.module.__module__.split(".")[1] if issubclass(task.data, TableDataModule) else name
        if field not in fields and not issubclass(task.data, tuple(chosen.values())):
            fields.add(field)
            chosen[name] = task.data
    return set(chosen)


TRAINED = one_for_each_kind_of_data()


@pytest.mark.slow
@pytest.mark.pictures
@pytest.mark.filterwarnings("error:no video of the agent")
@pytest.mark.parametrize("name", long_but(TRAINED, task_names()))
def test_every_task_keeps_the_contract(name, tmp_path):
    testing.check_task(name, tmp_path=tmp_path, overrides=shorter(name))


@pytest.mark.parametrize("name", task_names())
def test_every_task_keeps_the_clauses_that_need_no_training(name):
    task = find_task(name)
    testing.check_parameters(task)
    testing.check_hooks(task)
    for recipe in testing.own_recipes(name):
        testing.check_header(recipe)


@pytest.mark.slow
def test_a_run_that_is_killed_is_resumed(tmp_path):
    testing.check_task("regress", tmp_path=tmp_path, kill=True)


@pytest.mark.long
def test_an_agent_that_is_killed_is_resumed(tmp_path):
    file = find_recipe("reinforce_cartpole")
    run = testing.train(file, tmp_path, seed=0, size=testing.RESUMED)
    testing.check_kills(file, tmp_path, run, [random.random()])


@pytest.mark.long
@pytest.mark.parametrize("name", task_names())
def test_every_task_resumes_from_twenty_random_points(name, tmp_path):
    testing.check_task(name, tmp_path=tmp_path, kill=True, stops=[random.random() for _ in range(20)])


@pytest.mark.long
def test_an_agent_with_drifting_noise_resumes_from_twenty_random_points(tracked):
    recipe = tracked / "drifting.yaml"
    text = find_recipe("ddpg_pendulum").read_text()
    recipe.write_text(text.replace("  gamma: 0.99\n", "  gamma: 0.99\n  noise: ornstein_uhlenbeck\n"))
    assert load(recipe).model["noise"] == "ornstein_uhlenbeck"
    testing.check_task("ddpg", recipe=recipe, tmp_path=tracked, kill=True, stops=[random.random() for _ in range(20)])


@pytest.mark.long
def test_environments_in_processes_resume_from_twenty_random_points(tracked):
    recipe = tracked / "processes.yaml"
    recipe.write_text(find_recipe("ppo_cartpole").read_text().replace("data:    {", "data: {vectorization: async, "))
    assert load(recipe).data["vectorization"] == "async"
    run = testing.train(recipe, tracked, seed=0, size=testing.RESUMED)
    testing.check_kills(recipe, tracked, run, [random.random() for _ in range(20)])


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


class Failing(Net):
    def training_step(self, batch):
        raise RuntimeError(f"no loss for {len(batch)} inputs")


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
    run = testing.train(file, tracked, seed=0, size=testing.RESUMED)
    testing.check_tracking(task(), run)
    testing.check_checkpoints(task(), run)
    testing.check_logged_model(task(), run)
    testing.check_interruption(file, tracked, run, [0.0, 0.5, 1.0])
    testing.check_seeds(file, tracked)


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
    run = testing.train(file, tracked, seed=0, size=testing.RESUMED)
    with pytest.raises(ContractError, match="the same seed twice gives different weights"):
        testing.check_interruption(file, tracked, run, [0.5])


@pytest.mark.slow
def test_a_task_that_ignores_the_seed_is_noticed(recipe, tracked):
    with pytest.raises(ContractError, match="two different seeds give the same weights"):
        testing.check_seeds(recipe(Fixed), tracked)


class Forgetting(Net):
    """Counts its steps where no checkpoint finds the count."""

    count = 0

    def training_step(self, batch):
        self.count += 1
        return self.count * super().training_step(batch)


class Misreporting(Net):
    """The same, and only a metric shows it."""

    count = 0

    def training_step(self, batch):
        self.count += 1
        self.log("train/count", float(self.count), on_step=False, on_epoch=True)
        return super().training_step(batch)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "sentence"), [(Forgetting, "has other weights than one"), (Misreporting, "differs|lacks the metrics")]
)
def test_a_module_that_forgets_what_it_counts_is_noticed(module, sentence, recipe, tmp_path):
    short = small(recipe(module), size=testing.RESUMED)
    left_alone = whole(short, tmp_path / "whole")
    with pytest.raises(ContractError, match=sentence):
        check_resume(short, tmp_path, left_alone, [0.4])


@pytest.mark.slow
def test_a_run_that_fails_is_noticed(recipe, tracked):
    with pytest.raises(ContractError, match=r"planted.yaml trainer.* failed with LabError: .* RuntimeError: no loss"):
        testing.train(recipe(Failing), tracked, seed=0)


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


class Careless(Net):
    """Says nothing of either.

    Args:
        size: numbers to add.
    """

    def __init__(self, size: int, momentum: float = 0.1, decay=0.1) -> None:
        super().__init__(size)
        self.momentum, self.decay = momentum, decay


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
        (Careless, r"momentum is missing under[\s\S]*decay has no type[\s\S]*decay is missing under"),
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
    assert testing.check_facts(recipe(data=Elsewhere)) is None


class Downloaded(Numbers):
    def prepare_data(self):
        socket.create_connection(("127.0.0.1", 9))


class Pretrained(Net):
    def pretrain(self):
        socket.create_connection(("127.0.0.1", 9))


class Drawn(Numbers):
    def setup(self, stage):  # noqa: ARG002 - Lightning's signature
        torch.rand(3)


@pytest.mark.slow
def test_a_recipe_that_would_download_is_not_the_one_that_is_trained(recipe):
    for module, data, alone in ((Net, Numbers, True), (Net, Downloaded, False), (Pretrained, Numbers, False)):
        file = recipe(module, data)
        assert needs_nothing(file, testing.check_facts(file)) is alone
    with no_network(), pytest.raises(OSError, match="no network"):
        Downloaded().prepare_data()


def test_data_from_the_global_generator_are_warned_of():
    with pytest.warns(UserWarning, match=r"Drawn.setup uses the global random generator of torch, [\s\S]*`data_seed`"):
        warn_of_global_generators(Drawn())


class Jittered(TensorDataset):
    def __getitem__(self, i):
        return (super().__getitem__(i)[0] + float(np.random.rand()),)


class Shaken(Numbers):
    def val_dataloader(self):
        return [DataLoader(Jittered(torch.zeros(4, 2)), 2)]


class Endless(IterableDataset):
    def __iter__(self):
        while True:
            yield torch.rand(2)


def noisy(rows):
    return torch.stack(rows) + torch.randn(2)


class Validated(Numbers):
    def __init__(self, loader):
        super().__init__()
        self.loader = loader

    def val_dataloader(self):
        return self.loader


@pytest.mark.parametrize(
    ("loader", "part"),
    [
        (DataLoader(Endless(), 2), "Endless"),
        (DataLoader(torch.zeros(4, 2), 2, shuffle=True), "RandomSampler"),
        (DataLoader(torch.zeros(4, 2), 2, collate_fn=noisy), "collate_fn noisy"),
        (DataLoader(torch.zeros(4, 2), None, sampler=RandomSampler(range(4))), "RandomSampler"),
    ],
)
def test_random_parts_of_a_loader_are_warned_of(loader, part):
    with pytest.warns(UserWarning, match=f"{part} of Validated.val_dataloader uses the global random gen.* of torch"):
        warn_of_global_generators(Validated(loader))


def test_loaders_that_draw_nothing_or_by_their_own_generator_are_not_warned_of(recwarn):
    own = RandomSampler(range(4), generator=torch.Generator())
    for loader in (DataLoader(torch.zeros(4, 2), 2, num_workers=1), DataLoader(torch.zeros(4, 2), 2, sampler=own)):
        warn_of_global_generators(Validated(loader))
    assert not [each for each in recwarn if "random generator" in str(each.message)]


class Sampling(Net):
    def validation_step(self, batch):  # noqa: ARG002 - Lightning's signature
        self.log("val/loss", torch.rand(()))


class Scored(Net):
    def test_step(self, batch):
        self.log("test/mae", self.training_step(batch))


class Broken(Net):
    def validation_step(self, batch):  # noqa: ARG002 - Lightning's signature
        raise RuntimeError("only while it trains")


@pytest.mark.slow
def test_random_generators_of_validation_are_warned_of(recipe):
    data = "Jittered of Shaken.val_dataloader uses the global random generator of numpy, so that each validation"
    with pytest.warns(UserWarning, match=data):
        assert check_metrics(task(), testing.check_facts(recipe(data=Shaken)))
    module = "Sampling.validation_step uses the global random generator of torch, so that its metrics depend"
    with pytest.warns(UserWarning, match=module):
        assert check_metrics(task(), testing.check_facts(recipe(Sampling)))


@pytest.mark.slow
def test_a_wrong_metric_name_is_noticed_before_training(recipe, monkeypatch):
    assembly = testing.check_facts(recipe())
    monkeypatch.setattr(Net, "training_step", lambda *_: torch.zeros(()))
    wrong = Task(module=Net, data=Numbers, monitor="val/lost", mode="min")
    with pytest.raises(
        ContractError, match="monitors 'val/lost', which the validation does not log; did you mean 'val/lo"
    ):
        check_metrics(wrong, assembly)
    scored = Task(module=Scored, data=Numbers, monitor="val/loss", mode="min", score="test/mea")
    with pytest.raises(
        ContractError, match="the score 'test/mea', which the test does not log; did you mean 'test/mae'"
    ):
        check_metrics(scored, testing.check_facts(recipe(Scored)))
    assert check_metrics(wrong, testing.check_facts(recipe(Broken))), "nothing is known of it"


def test_a_task_with_a_wrong_metric_is_not_trained(recipe, monkeypatch, tmp_path):
    monkeypatch.setattr(testing, "find_task", lambda _: Task(module=Net, data=Numbers, monitor="val/acc", mode="max"))
    monkeypatch.setattr(testing, "train", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(ContractError) as error:
        testing.check_task("nobody", recipe=recipe(), tmp_path=tmp_path)
    assert "no installed recipe says" in str(error.value)
    assert "monitors 'val/acc'" in str(error.value)


def test_a_memory_logger_keeps_what_it_is_told_and_goes_back():
    logger = MemoryLogger()
    logger.log_metrics({"loss": 1.0}, 1)
    position = logger.position()
    logger.log_metrics({"loss": 2.0}, 2)
    logger.rewind(position)
    assert logger.points == [("loss", 1, 1.0)]
    logger.experiment.log_figure(logger.run_id, None, "plots/a.png")
    assert logger.plots == ["plots/a.png"]


def test_every_broken_clause_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(testing, "find_task", lambda _: task(Undocumented))
    with pytest.raises(ContractError) as error:
        testing.check_task("nobody", tmp_path=tmp_path)
    for sentence in ("momentum is missing", "no installed recipe says", "no recipe of nobody can be trained"):
        assert sentence in str(error.value)


# ---- recipes ---------------------------------------------------------------------------------------------------------


def test_the_shortest_recipe_comes_first(monkeypatch, tmp_path):
    said = {"a": "total_steps: 900", "b": "total_steps: 90", "c": "seed: 1", "d": "max_epochs: 2"}
    for stem, words in said.items():
        section = "trainer" if "epochs" in words else "data"
        (tmp_path / f"{stem}.yaml").write_text(f"task: reinforce\n{section}: {{{words}}}\n")
    files = {file.stem: SimpleNamespace(path=file) for file in tmp_path.glob("*.yaml")}
    monkeypatch.setattr(clauses, "recipes", lambda: files)
    assert [file.stem for file in testing.own_recipes("reinforce")] == ["b", "a", "d", "c"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("task: moons\n", ":1: the first line is the command"),
        ("# two moons\n# expect 0.97\ntask: moons\n", ":1: the first line is the command"),
        ("# lab run suns\n# expect 0.97\ntask: moons\n", ":1: the first line is the command"),
        ("# lab run recipes/moons.yaml\n# expect 0.97\n", ":1: the first line is the command"),
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


@pytest.mark.parametrize("command", ["lab run moons", "lab run moons model.lr=0.1"])
def test_a_proper_header_passes(command, tmp_path):
    file = tmp_path / "moons.yaml"
    file.write_text(f"# {command}\n# Moons;\n# expect a test/accuracy of 0.97.\n")
    testing.check_header(file)


def test_a_task_without_a_recipe_is_noticed():
    with pytest.raises(ContractError, match="no installed recipe says `task: nobody`"):
        testing.own_recipes("nobody")
