"""The contract of a task, as one call: `check_task("my_task")`. Built-ins and plugins pass the same one.

A test of a plugin needs nothing else:

    def test_keeps_the_contract(tmp_path):
        check_task("my_task", tmp_path=tmp_path)
"""

from __future__ import annotations

import inspect
import itertools
import random
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import RecipeError
from lab.recipe import load
from lab.recipe.signature import parameters, takes
from lab.registry import find_recipe, find_task, recipes
from lab.task import hook, lookalikes
from lab.testing.interruption import KILLED, check_resume
from lab.testing.runs import SHRUNK, UNTESTED, ContractError, require, same, train, weights

if TYPE_CHECKING:
    from lab.runner.results import RunResult
    from lab.task import Task


def check_task(
    name: str, recipe: str | Path | None = None, tmp_path: Path | None = None, kills: Sequence[float] | None = None
) -> None:
    """Check everything `lab` asks of a task; it trains a few times, a few batches each.

    Args:
        name: an installed task, as `lab ls` prints it.
        recipe: the recipe to run, by name or path; by default the first of the task's own.
        tmp_path: where the runs are kept; by default a folder that is removed afterwards.
        kills: how far a run is when it is killed to be resumed, from 0 to 1; by default once, anywhere.

    Raises:
        ContractError: with the first clause the task does not keep.
    """
    task = find_task(name)
    check_parameters(task)
    check_hooks(task)
    files = own_recipes(name)
    for file in files:
        check_header(file)
        check_facts(file)
    chosen = files[0] if recipe is None else find_recipe(str(recipe))
    with tempfile.TemporaryDirectory() as folder:
        kept = tmp_path or Path(folder)
        run = train(chosen, kept, seed=0, size=KILLED)
        check_tracking(task, run)
        check_checkpoints(task, run)
        check_logged_model(task, run)
        check_seeds(run, other=train(chosen, kept, seed=1, size=UNTESTED))
        check_resume(chosen, kept, run, [random.random()] if kills is None else kills)


def check_parameters(task: Task) -> None:
    """Every constructor parameter is a typed keyword with a line under `Args:`."""
    for target in (task.module, task.data):
        where = f"{target.__module__}.{target.__qualname__}"
        for argument in inspect.signature(target).parameters.values():
            by_name = argument.kind in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY)
            passed_on = argument.kind is argument.VAR_KEYWORD and not takes(target)[1]
            named = by_name or passed_on
            require(named, f"{where}: {argument} is no plain keyword, so no recipe can set it by name")
        for keyword in parameters(target):
            require(keyword.type != "Any", f"{where}: {keyword.name} has no type that a recipe can be checked against")
            require(keyword.meaning, f"{where}: {keyword.name} is missing under `Args:` in the class's docstring")


def check_hooks(task: Task) -> None:
    """No method has nearly the name of a hook, and is never called because of it."""
    for sentence in lookalikes(task):
        raise ContractError(sentence)


def own_recipes(name: str) -> list[Path]:
    """The installed recipes whose `task:` is this one: at least one."""
    unreadable, own = [], []
    for file in recipes().values():
        try:
            own += [file.path] if load(file.path).task == name else []
        except RecipeError as error:
            unreadable.append(str(error))
    hint = "; ".join(
        ["ship one in the package and name its folder in the entry-point group `lab.recipes`", *unreadable]
    )
    require(own, f"no installed recipe says `task: {name}`: {hint}")
    return sorted(own)


def check_header(file: Path) -> None:
    """The first line is the command that runs the recipe; the comment below says which score to expect."""
    first, *below = file.read_text(encoding="utf-8").splitlines() or [""]
    command = re.match(r"# lab run (\S+)", first)
    require(
        command is not None and Path(command[1]).stem == file.stem,
        f"{file}:1: the first line is the command that runs the recipe, such as `# lab run {file.stem}`",
    )
    header = " ".join(itertools.takewhile(lambda line: line.startswith("#"), below))
    require(
        re.search(r"\bexpect.*\d", header),
        f"{file}:2: the comment below says which score to expect, such as `# expect a test/accuracy of 0.97`",
    )


def check_facts(file: Path) -> None:
    """`data.facts()` is plain, cheap, always the same, and nothing a recipe may set; asked where its extra is there."""
    from lab.runner.assemble import assemble

    try:
        data: Any = assemble(load(file, SHRUNK)).data
    except RecipeError as error:
        if all("is not installed: pip install" in problem.message for problem in error.problems):
            return
        raise
    where = f"{type(data).__qualname__}.facts()"
    facts: Callable[[], dict[str, Any]] = hook(data, "facts") or dict  # none at all is fine
    first = facts()
    start = time.perf_counter()
    second = facts()
    seconds = time.perf_counter() - start
    require(first == second, f"{where} is not the same twice: {first!r}, then {second!r}")
    require(seconds < 1, f"{where} took {seconds:.1f} s; it is asked before setup() and must be cheap")
    for key, value in first.items():
        require(_plain(value), f"{where}: {key} is {value!r}; only plain values survive in a checkpoint")
        try:
            assemble(load(file, [*SHRUNK, f"model.{key}=1"]))
        except RecipeError as error:
            refused = any(problem.key == f"model.{key}" for problem in error.problems)
        else:
            refused = False
        require(refused, f"{where}: a recipe can set model.{key}, though it is a fact of the data")


def check_tracking(task: Task, run: RunResult) -> None:
    """MLflow holds the monitored metric, the parameters, the recipe, and at least one plot."""
    from lab.tracking.server import client as connect

    require(task.monitor, "the task names no `monitor`, so nothing says which of its runs is better")
    client = connect(run.uri)
    logged = client.get_run(run.run_id).data
    require(
        task.monitor in logged.metrics,
        f"the task monitors {task.monitor!r}, but the run logged: {', '.join(sorted(logged.metrics)) or 'nothing'}",
    )
    require(logged.params, "the run has no parameters in MLflow; call save_hyperparameters() in the constructor")
    top = {entry.path for entry in client.list_artifacts(run.run_id)}
    require("recipe.yaml" in top, f"the run keeps no recipe.yaml, only: {', '.join(sorted(top))}")
    require(
        client.list_artifacts(run.run_id, "plots"),
        "the run has no plot: make one and pass it to lab.plots.log_figure, in on_test_end for instance",
    )


def check_checkpoints(task: Task, run: RunResult) -> None:
    """The best and the last checkpoint exist, and each restores its module from plain values alone."""
    for which, path in {"best": run.best, "last": run.last}.items():
        require(path is not None and path.is_file(), f"the run left no {which} checkpoint")
        assert path is not None  # for type checkers
        call = f"{task.module.__qualname__}.load_from_checkpoint({path.name!r}, weights_only=True)"
        try:
            restored = task.module.load_from_checkpoint(path, map_location="cpu", weights_only=True).state_dict()
        except Exception as error:
            raise ContractError(
                f"{call} raised {type(error).__name__}: {error}\n"
                "call save_hyperparameters() in the constructor and keep its values plain"
            ) from error
        require(same(restored, weights(path)), f"{call} gives other weights than the checkpoint holds")


def check_logged_model(task: Task, run: RunResult) -> None:
    """The model in MLflow answers as the best checkpoint does; asked only of modules with an example input."""
    import mlflow
    import torch

    from lab.runner.export import call, example_inputs
    from lab.tracking.server import current

    assert run.best is not None  # check_checkpoints has seen it
    module = task.module.load_from_checkpoint(run.best, map_location="cpu", weights_only=True).eval()
    batch = example_inputs(module, size=3)
    if batch is None:
        return
    try:
        with current(run.uri):
            logged = mlflow.pytorch.load_model(f"runs:/{run.run_id}/model")
            folder = Path(mlflow.artifacts.download_artifacts(f"runs:/{run.run_id}/model"))
        with torch.inference_mode():
            found, expected = logged(*batch.values()), call(module, batch)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
        assets: dict[str, bytes] = (hook(module, "assets") or dict)()
        files = {name: (folder / "extra_files" / name).read_bytes() for name in assets}
    except AssertionError as error:
        raise ContractError(
            f"the model in MLflow gives another output than the module of the best checkpoint: {error}"
        ) from error
    except Exception as error:
        raise ContractError(f"the model in MLflow cannot be used: {type(error).__name__}: {error}") from error
    require(
        files == assets,
        "the module of the best checkpoint has other assets than the logged model: keep them in the `get_extra_state` "
        "of a submodule",
    )


def check_seeds(run: RunResult, other: RunResult) -> None:
    """Another seed gives other weights."""
    different = not same(weights(run.last), weights(other.last))
    require(different, "two different seeds give the same weights: something sets a seed of its own")


def _plain(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(_plain(entry) for entry in value)
    if type(value) is dict:
        return all(_plain(entry) for entry in (*value, *value.values()))
    return value is None or type(value) in (bool, int, float, str)
