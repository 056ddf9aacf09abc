"""Every task trains in every precision of the Trainer, or says in one line which to take instead."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from lab import files
from lab.errors import RecipeError
from lab.recipe import Recipe, load
from lab.registry import find_task, task_names
from lab.rl.tabular.agent import TabularAgent
from lab.runner import training
from lab.runner.assemble import assemble
from lab.runner.assembly import Assembly
from lab.runner.export import call, example_inputs
from lab.task import counterpart
from lab.testing.clauses import own_recipes
from lab.testing.memory import MemoryLogger
from lab.testing.resuming import check_resume, whole
from lab.testing.short import BATCHES, SMALL, overrides
from tests.parameters import long_but
from tests.recipes import short_recipe

pytestmark = pytest.mark.slow  # whole trainings, if short ones

FEW = {"classify", "ddpg"}  # all others are trained if long tests are asked for
TASKS = long_but(FEW, task_names())


def recipe(name: str, precision: str, batches: int = 1) -> Recipe:
    """A short training of the task's shortest recipe that needs no network."""
    return short_recipe(name, f"trainer.precision={precision}", batches=batches)


def floats(value: Any) -> set[torch.dtype]:
    """The floating-point types in nested values."""
    if isinstance(value, torch.Tensor):
        return {value.dtype} if value.is_floating_point() else set()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return {dtype for each in inner for dtype in floats(each)}


def again(short: Recipe, checkpoint: Path) -> Assembly:
    """New objects that hold what the checkpoint has, as `lab eval` and `lab play` make them."""
    made = assemble(short)
    made.module.load_state_dict(files.load(checkpoint)["state_dict"])
    return made


@pytest.mark.parametrize("name", TASKS)
def test_every_task_trains_and_is_tested_in_double_precision(name: str, tmp_path: Path) -> None:
    short, logger = recipe(name, "64-true"), MemoryLogger()
    assembly = assemble(short)
    trained = training.train(assembly, logger, tmp_path)
    found = training.test(assembly, trained.best)
    assert found
    assert all(math.isfinite(value) for value in found.values())
    assert logger.plots or logger.files
    assert trained.last is not None
    kept = files.load(trained.last)
    assert floats(kept["state_dict"]) <= {torch.float64}
    states = [state for optimizer in kept["optimizer_states"] for state in optimizer["state"].values()]
    moments = [{key: value for key, value in state.items() if key != "step"} for state in states]
    assert floats(moments) <= {torch.float64}  # a table has no optimizer
    assert trained.best is not None
    other = again(short, trained.best)
    weights = assembly.module.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in other.module.state_dict().items())
    inputs = example_inputs(other.module.eval(), size=2)
    if inputs is not None:
        outputs = floats(call(other.module, inputs))
        assert outputs <= {torch.float64}


@pytest.mark.parametrize("name", TASKS)
def test_every_task_trains_and_is_tested_in_bfloat16(name: str, tmp_path: Path) -> None:
    if issubclass(find_task(name).module, TabularAgent):
        pytest.skip("a table has double precision")
    assembly = assemble(recipe(name, "bf16-mixed"))
    trained = training.train(assembly, MemoryLogger(), tmp_path)
    found = training.test(assembly, trained.best)
    assert math.isfinite(found[assembly.task.score or counterpart(assembly.task.monitor)])
    assert trained.last is not None
    assert floats(files.load(trained.last)["state_dict"]) <= {torch.float32, torch.float64}, "the weights stay exact"


@pytest.mark.parametrize("name", [name for name in TASKS if name != "classify"])
def test_every_task_resumes_in_double_precision_to_the_same_bits(name: str, tmp_path: Path) -> None:
    short = recipe(name, "64-true", BATCHES)
    check_resume(short, tmp_path, whole(short, tmp_path / "whole"), [0.5])


WORDS = ["16-true", "transformer-engine", "transformer-engine-float16"]


@pytest.mark.parametrize(
    ("name", "precision"),
    [*((name, "bf16-true") for name in ("classify", "gan", "ddpg", "a2c")), *(("regress", word) for word in WORDS)],
)
def test_a_precision_that_it_cannot_train_with_is_refused_before_the_run(name: str, precision: str) -> None:
    file = own_recipes(name)[0]
    with pytest.raises(RecipeError) as error:
        assemble(load(file, overrides(file, 0, (*SMALL, f"trainer.precision={precision}"))))
    (problem,) = error.value.problems
    assert problem.key == "trainer.precision"
    assert problem.where == f"override trainer.precision={precision}"
    assert "set it to bf16-mixed" in problem.message
    assert "\n" not in problem.message
