"""The clause on interruption for real: a run killed anywhere (kill -9) and resumed is the run that was left alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.testing.processes import Process
from lab.testing.published import points
from lab.testing.runs import ContractError, require, same, train, weights
from lab.testing.short import BATCHES, RESUMED, overrides

if TYPE_CHECKING:
    from lab.runner.results import RunResult


def check_kills(
    file: Path, folder: Path, whole: RunResult, kills: Sequence[float], size: Sequence[str] = RESUMED
) -> None:
    """A run killed anywhere (kill -9) and resumed ends with the weights and the metrics of one that was left alone.

    Args:
        file: the recipe.
        folder: where the runs are kept.
        whole: the run that was left alone, of seed 0.
        kills: how far the others are when they are killed, from 0 to 1.
        size: the overrides that said how short it was.
    """
    from lab.runner.results import find_run
    from lab.runner.resume import resume

    for kill in kills:
        run_id = _killed(file, folder, kill, size)
        while find_run(run_id, whole.uri).info.status == "FINISHED":  # it was faster than the kill
            kill *= 0.8
            run_id = _killed(file, folder, kill, size)
        where = f"killed at {kill:.3f} of its way and resumed, the run"
        try:
            resumed = resume(run_id, whole.uri)
        except Exception as error:
            raise ContractError(f"{where} failed with {type(error).__name__}: {error}") from error
        if not same(weights(whole.last), weights(resumed.last)):
            check_repeats(file, folder, whole, size)
            raise ContractError(
                f"{where} has other weights than an uninterrupted run: some state that affects them is in no state_dict"
            )
        # as text, since a metric that is NaN does not equal itself
        expected, found = (Counter(map(repr, points(run))) for run in (whole, resumed))
        require(
            expected == found,
            f"{where} lacks the metrics {sorted(expected - found)[:5]} and has {sorted(found - expected)[:5]} instead",
        )


def check_repeats(file: Path, folder: Path, whole: RunResult, size: Sequence[str]) -> None:
    """The same seed gives the same weights; if it does not, no resumed run can."""
    again = train(file, folder, seed=0, size=size)
    seeded = same(weights(whole.last), weights(again.last))
    require(seeded, "the same seed twice gives different weights: some randomness ignores the seed")


def _killed(file: Path, folder: Path, kill: float, size: Sequence[str]) -> str:
    """Starts the recipe in a process of its own, kills it after that share of its checkpoints, returns its run."""
    begun = "mlruns/*/*/artifacts/recipe.yaml"  # the first that a run writes down
    known = set(folder.glob(begun))
    left = round(kill * 2 * BATCHES)  # of all the checkpoints but the very last, after which it may be too late
    command = ["run", str(file), *overrides(file, 0, size, folder)]
    log, recipe, newest = folder / "killed.log", None, 0
    process = Process("lab", command, log)
    while process.poll() is None and (recipe is None or left > 0):
        time.sleep(0.0005)
        recipe = recipe or next((path for path in folder.glob(begun) if path not in known), None)
        if recipe is not None:
            saved = _number(recipe.parent / "checkpoints" / "last.ckpt")
            left, newest = left - (saved != newest), saved
    process.kill()
    process.wait(timeout=60)
    require(recipe, f"`lab {' '.join(command)}` failed before it had a run: {log.read_text().strip()[-500:]}")
    assert recipe is not None  # for type checkers
    return recipe.parents[1].name


def _number(file: Path) -> int:
    """Tells one file of this name from the next; 0 while there is none, as for a moment between two."""
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return 0
