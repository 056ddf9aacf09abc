"""What a study file says, and what is refused before anything is trained."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.errors import RecipeError
from lab.recipe.renamed import RENAMED
from lab.registry import recipes
from lab.study.plan import schema
from lab.study.plan.plan import make_plan
from lab.study.work.naming import Naming


def test_one_key_at_a_time_and_what_several_lines_mean_is_trained_once(planned):
    made = planned(
        "sampler: one_at_a_time",
        "set: {model.gamma: 0.9}",
        "space: {model.lr: [0.001, 0.01], model.gamma: [0.8, 0.9, 0.95], model.hidden: [[8], [16]]}",
    )
    assert [(row.key, row.value, row.entry) for row in made.rows] == [
        ("model.lr", 0.001, 0),
        ("model.lr", 0.01, 1),
        ("model.gamma", 0.8, 2),
        ("model.gamma", 0.9, 0),
        ("model.gamma", 0.95, 3),
        ("model.hidden", [8], 0),
        ("model.hidden", [16], 4),
    ]
    assert made.entries[2] == {"model.lr": 0.001, "model.gamma": 0.8, "model.hidden": "[8]"}


def test_a_default_outside_of_the_list_is_a_value_of_the_other_lines(planned):
    made = planned("sampler: one_at_a_time", "space: {model.lr: [0.1, 0.2], model.tau: [0.5]}")
    assert made.entries == (
        {"model.lr": 0.1, "model.tau": 0.005},
        {"model.lr": 0.2, "model.tau": 0.005},
        {"model.lr": 0.001, "model.tau": 0.5},
    )


@pytest.mark.slow
def test_metric_and_direction_are_the_tasks_unless_the_study_says_otherwise(planned):
    assert planned("sampler: none").metrics == ("best/val/return",)
    assert planned("sampler: none").modes == ("max",)
    assert planned("sampler: none").length == 400, "environment steps"
    assert planned("sampler: none", "metric: test/return").modes == ("max",)
    assert planned("sampler: none", "metric: loss", "mode: min").modes == ("min",)
    two = planned(
        "trials: 5",
        "sampler: nsga2",
        "metric: [test/return, updates]",
        "mode: [max, min]",
        "space: {seed: [1]}".replace("seed: [1]", "model.lr: [0.1, 1]"),
    )
    assert (two.metrics, two.modes) == (("test/return", "updates"), ("max", "min"))


@pytest.mark.slow
def test_a_metric_that_looks_mistyped_is_named_before_the_first_trial(planned, caplog):
    with caplog.at_level("INFO"):
        planned("sampler: none", "metric: [test/retrun, updates, test/return_std]", "mode: max")
    assert [line.partition(": ")[2] for line in caplog.messages if "metric" in line] == [
        "metric: 'test/retrun' is no metric that the task names; did you mean 'test/return'?"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("trainer.devices: 2", "a study trains each trial in one process; set devices: 1"),
        ("data.keep: cartpole/mine-v0", "each training would write the same dataset; leave it out, and keep"),
    ],
)
def test_what_only_a_single_run_can_do_is_refused(planned, setting, problem):
    with pytest.raises(RecipeError, match=f"{setting.partition(':')[0]}: {problem}"):
        planned("sampler: none", f"set: {{{setting}}}")


def test_seeds_are_the_recipes_own_by_default(planned):
    assert planned("sampler: none").seeds == (0,)
    assert planned("sampler: none", "seeds: [3, 4]").seeds == (3, 4)


WRONG = {
    "sampler: tpee": "sampler: expected 'none', 'one_at_a_time', 'grid', 'random', 'tpe', 'cmaes', 'gp', 'qmc' "
    "or 'nsga2', found 'tpee'; did you mean 'tpe'?",
    "space: {model.gama: [0.1]}": "space.model.gama.0: unknown key 'gama'; did you mean 'gamma'?",
    "space: {model.gamma: [0.5, 1.5]}": "space.model.gamma.1: expected a number from 0 to 1, found 1.5",
    "space: {model.lr: {float: [-1, 1]}}": "space.model.lr.float.0: expected a number above 0, found -1.0",
    "space: {data.batch_size: {float: [16, 64]}}": "space.data.batch_size.float.0: expected a whole number",
    "space: {data.env: {Pendulum-v1: {data.batch_size: {float: [16, 64]}}}}": (
        "space.data.env.Pendulum-v1.data.batch_size.float.0: expected a whole number"
    ),
    "space: {data.batch_size: {int: [16, 64], step: 64}}": "space.data.batch_size.step: a step of 64 leaves nothing",
    "space: {model.hidden: [8, [8]]}": "space.model.hidden.0: expected a list",
    "space: {data.batch_size: [16, 32.0]}": "space.data.batch_size.1: expected a whole number",
    "space: {seed: [1, 2]}": "space.seed.0: cannot be part of the space; expected a key of model, data, trainer",
    "space: {modle.lr: [1, 2]}": "space.modle.lr.0: cannot be part of the space; did you mean 'model'?",
    "space: {callbacks: [[{class_path: torch.nn.Linear}]]}": "space.callbacks.0: callbacks.0.class_path: "
    "'torch.nn.Linear' is the class Linear; expected a subclass of lightning.Callback",
    "space: {optimizer: [{class_path: torch.optim.Adam}]}": "space.optimizer.0: DDPG has optimizers of its own",
    "space: {data.env: [Pendulum-v1, Pendulun-v1]}": "space.data.env.1: no environment 'Pendulun-v1'; did you mean",
    "space: {data.wrappers: [[FlattenObservation], ['torch.nn:Linear']]}": "space.data.wrappers.1: data.wrappers.0: "
    "'torch.nn:Linear' is the class Linear; expected a subclass of gymnasium.Wrapper",
    "space: {trainer.max_epochs: [-2, 1]}": "space.trainer.max_epochs.0: expected 0 or more, or -1 for no limit",
    "space: {}": "space: empty; list the keys to vary, such as {model.lr: [0.001, 0.01]}",
    "trials: 3": "trials: grid has a fixed number of trials; leave it out",
    "metric: loss": "mode: missing; give min or max for loss",
    "seeds: [1, 1]": "seeds: the same seed twice",
    "pruner: wilcoxon": "pruner: wilcoxon compares trials seed by seed; give at least 3 seeds",
    "sampler_args: {n_startup: 3}": "sampler_args.n_startup: unknown key 'n_startup'; known keys: seed",
    "pruner: median\npruner_args: {n_warmup: 3}": "pruner_args.n_warmup: unknown key 'n_warmup'; did you mean "
    "'n_warmup_steps'?",
    "set: {model.gama: 1}": "set.model.gama: unknown key 'gama'; did you mean 'gamma'?",
    "pruner: median\nset: {data.eval_every: 400}": "pruner: median compares validations during a training, and there "
    "is one, at its end; validate more often, or prune seed by seed with wilcoxon",
    "space: {model.discount: [0.1]}": "space.model.discount.0: unknown key 'discount'; it is called 'gamma' now",
    "set: {model.discount: 1}": "set.model.discount: unknown key 'discount'; it is called 'gamma' now",
    "set: {seed: 1}": "set.seed: cannot be set here: give `seeds:`",
    "set: {data.total_steps: 100}": "data.learning_starts: expected less than total_steps (100), found 200",
    "published: {model.lr: [1]}": "published.model.lr: 1 published values for 2 in the space",
    "published: {model.l: [1]}": "published.model.l: not a key of the space with a list of values; did you mean",
    "recipe: nowhere.yaml": "recipe: no recipe file 'nowhere.yaml', and none installed; `lab ls` lists them",
    "space: {model.lr: {float: [0.1, 1]}}": "space.model.lr: a grid takes lists; random and tpe take ranges",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_is_refused(home, line, monkeypatch):
    monkeypatch.setitem(RENAMED, "model.discount", "model.gamma")
    lines = {"recipe": "recipe: recipe.yaml", "sampler": "sampler: grid", "space": "space: {model.lr: [0.1, 0.2]}"}
    lines.update((part.partition(":")[0], part) for part in line.splitlines())
    path = home / "s.yaml"
    path.write_text("\n".join(lines.values()))
    with pytest.raises(RecipeError) as error:
        make_plan(schema.load_study(path))
    said = [f"{problem.key}: {problem.message}" for problem in error.value.problems]
    assert any(sentence.startswith(WRONG[line]) for sentence in said), said
    assert all(problem.where for problem in error.value.problems)


def test_everything_wrong_is_said_together_with_its_line(home):
    path = home / "s.yaml"
    lines = (
        "recipe: recipe.yaml",
        "sampler: tpe",
        "trials: 3",
        "space:",
        "  model.lr: [0.1, -1]",
        "  data.batch_size: [0]",
    )
    path.write_text("\n".join([*lines, "seeds: [1, 1]"]))
    with pytest.raises(RecipeError) as error:
        make_plan(schema.load_study(path))
    assert [Path(problem.where).name for problem in error.value.problems] == ["s.yaml:7", "s.yaml:5", "s.yaml:6"]


def test_a_misspelt_key_of_the_study_is_said_before_anything_is_built(home, monkeypatch):
    monkeypatch.setattr("lab.runner.assemble.assemble", lambda *_: pytest.fail("it was built"))
    lines = ("recipe: recipe.yaml", "sampler: tpe", "trails: 3", "space: {model.lrr: [0.1, 1.0]}")
    (home / "s.yaml").write_text("\n".join(lines))
    with pytest.raises(RecipeError, match=r"s\.yaml:3: trails: unknown key .trails.; did you mean") as error:
        make_plan(schema.load_study(home / "s.yaml"))
    assert "unknown key 'lrr'" in str(error.value)


@pytest.mark.parametrize("name", recipes("study"))
def test_every_shipped_study_can_be_begun(name, monkeypatch):
    monkeypatch.setattr("lab.runner.weights.chosen", lambda *_: None)  # it would need the run
    file = recipes("study")[name]
    made = make_plan(schema.load_study(file.path))
    assert made.entries
    assert file.path.read_text().startswith(f"# lab tune {file.path.stem}\n# ")


@pytest.mark.parametrize(
    ("sampler", "settings", "seeds", "name"),
    [
        ("tpe", {"model.lr": 0.001, "model.gamma": 0.95}, (0, 1, 2), "#4 seed 2 lr=0.001 gamma=0.95"),
        ("grid", {"model.hidden": [64, 64]}, (2,), "#4 hidden=[64, 64]"),
        ("tpe", {"model.lr": 1.234567e-4, "model.critic.lr": 0.1}, (2,), "#4 model.lr=0.0001235 model.critic.lr=0.1"),
        ("none", {}, (0, 2), "seed 2"),
        ("grid", {"data.fold": 1}, (2,), "fold 1 of 5"),
        ("grid", {"model.network": "x" * 300}, (0, 2), f"#4 seed 2 network={'x' * 99}..."),
    ],
)
def test_a_run_of_a_study_is_named_by_what_it_differs_in(sampler, settings, seeds, name):
    recipe = SimpleNamespace(data={"folds": 5})
    keys = [SimpleNamespace(key=key) for key in settings]
    plan = SimpleNamespace(file=SimpleNamespace(sampler=sampler), seeds=seeds, dimensions=keys, recipe=recipe)
    assert Naming(plan).run(4, settings, 2) == name
