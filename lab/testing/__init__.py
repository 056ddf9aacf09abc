"""The contract of a task, as one call: `check_task("my_task")`. Built-ins and plugins pass the same one.

A test of a plugin needs nothing else:

    def test_keeps_the_contract(tmp_path):
        check_task("my_task", tmp_path=tmp_path)
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lab.registry import find_recipe, find_task
from lab.testing.clauses import (
    check_facts,
    check_header,
    check_hooks,
    check_parameters,
    needs_nothing,
    own_recipes,
)
from lab.testing.interruption import check_kills
from lab.testing.published import check_checkpoints, check_logged_model, check_tracking, points
from lab.testing.runs import ContractError, require, same, train, weights
from lab.testing.short import RESUMED, SHRUNK, small

if TYPE_CHECKING:
    from lab.runner.results import RunResult

__all__ = ["ContractError", "check_header", "check_task"]

T = TypeVar("T")


def check_task(
    name: str,
    recipe: str | Path | None = None,
    tmp_path: Path | None = None,
    *,
    kill: bool = False,
    stops: Sequence[float] | None = None,
    overrides: Sequence[str] = (),
) -> None:
    """Check everything `lab` asks of a task; it trains a few times, a few batches each, in some five seconds.

    Args:
        name: an installed task, as `lab ls` prints it.
        recipe: the recipe to run, by name or path; by default the one of the task's own that asks for the fewest steps
            or epochs, among those that need neither a network nor a package that is not installed.
        tmp_path: where the runs are kept; by default a folder that is removed afterwards.
        kill: besides, end runs in processes of their own for real (kill -9) before they are resumed.
        stops: how far a run is when it is stopped to be resumed, from 0 to 1; by default once, anywhere.
        overrides: settings that make the trainings shorter, such as `data.length=12`; the recipe is checked without.

    Raises:
        ContractError: with every clause that the task does not keep.
    """
    from lab.runner.assemble import assemble
    from lab.testing.evaluation import check_metrics

    broken: list[str] = []

    def keeps(clause: Callable[..., T], *arguments: Any) -> T | None:
        try:
            return clause(*arguments)
        except ContractError as error:
            broken.append(str(error))
            return None

    task = find_task(name)
    keeps(check_parameters, task)
    keeps(check_hooks, task)
    chosen = None if recipe is None else find_recipe(str(recipe))
    assembled = None if chosen is None else keeps(check_facts, chosen)
    for file in keeps(own_recipes, name) or []:
        keeps(check_header, file)
        assembly = keeps(check_facts, file) if file != chosen else None
        if chosen is None and assembly is not None and needs_nothing(file, assembly):
            chosen, assembled = file, assembly
    if overrides and chosen is not None and assembled is not None:
        assembled = assemble(small(chosen, size=(*SHRUNK, *overrides)))
    if chosen is None:
        broken.append(f"no recipe of {name} can be trained without a network, another run or a missing package")
    elif assembled is not None and keeps(check_metrics, task, assembled):  # else the training would stop at once
        with tempfile.TemporaryDirectory() as folder:
            kept = tmp_path or Path(folder)
            where = [random.random()] if stops is None else stops
            size = (*RESUMED, *overrides)
            run = keeps(train, chosen, kept, 0, size)
            if run is not None:
                keeps(check_tracking, task, run)
                if keeps(check_checkpoints, task, run):
                    keeps(check_logged_model, task, run)
                keeps(check_interruption, chosen, kept, run, where, size)
                keeps(check_seeds, chosen, kept, (*SHRUNK, *overrides))
                if kill:
                    keeps(check_kills, chosen, kept, run, where, size)
    if broken:
        raise ContractError("\n".join(broken))


def check_interruption(
    file: Path, folder: Path, run: RunResult, stops: Sequence[float], size: Sequence[str] = RESUMED
) -> None:
    """The same seed gives the same weights, also where the training was stopped anywhere and resumed.

    Args:
        file: the recipe.
        folder: where checkpoints go.
        run: the finished run of seed 0.
        stops: how far the others are when they are stopped, from 0 to 1.
        size: the overrides that said how short it was.
    """
    from lab.runner.results import BEST
    from lab.testing.resuming import Whole, check_resume, identities, whole

    assert run.last is not None  # check_checkpoints has seen it
    recipe = small(file, size=size)
    trained = [point for point in points(run) if point[0] not in run.tested and not point[0].startswith(BEST)]
    scores = [value for name, value in run.metrics.items() if name.startswith(BEST)]
    try:
        check_resume(recipe, folder, Whole(run.last, next(iter(scores), None), identities(trained)), stops)
    except ContractError:
        seeded = same(weights(run.last), weights(whole(recipe, folder / "whole").last))
        require(seeded, "the same seed twice gives different weights: some randomness ignores the seed")
        raise


def check_seeds(file: Path, folder: Path, size: Sequence[str] = SHRUNK) -> None:
    """Another seed gives other weights: from the beginning, or after a batch."""
    from lab.runner.assemble import assemble
    from lab.testing.resuming import whole

    first, second = (assemble(small(file, seed, size)).module.state_dict() for seed in (0, 1))
    if not same(first, second):
        return
    runs = [whole(small(file, seed, size), folder / f"seed{seed}") for seed in (0, 1)]
    different = not same(*(weights(run.last) for run in runs))
    require(different, "two different seeds give the same weights: something sets a seed of its own")
