"""The result of one run, as lines to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.cli.terminal.tables import facts
from lab.stages import duration, number

if TYPE_CHECKING:
    from lab.runner.results import RunResult


def print_result(result: RunResult, at: str | None, then: Sequence[str] = ()) -> None:
    """The score, what the test logged, where the run is kept, and the next commands.

    Args:
        result: of a finished run.
        at: the address to give to the next commands, where it is no default.
        then: further next commands.
    """
    from lab.runner.results import BEST
    from lab.task import counterpart, distinct_metrics
    from lab.tracking.server import run_page

    print(f"{result.status} {result.name}, trained in {duration(result.seconds)}")
    beside = {name: number(result.tested[name]) for name in distinct_metrics(result.tested)}
    kept = {"run": result.run_id, "page": run_page(result.uri, result.run_id), "best": result.best, "last": result.last}
    score = {} if result.monitor is None else {result.monitor: number(result.score)}
    if result.monitor is not None and result.monitor not in result.tested:
        why = f"the test did not log {counterpart(result.monitor.removeprefix(BEST))}" if result.tested else "no test"
        score[result.monitor] += f"  (in validation; {why})"
    facts({**score, **beside, **kept})
    print("next")
    for command in [*_next(result, at), *then]:
        print(f"  {command}")


def _next(result: RunResult, at: str | None) -> list[str]:
    from lab.registry import find_task, task_names
    from lab.task import hook
    from lab.tracking.redaction import without_password

    where = "" if at is None else f" --uri {without_password(at)}"  # the recipe's own choice is nobody's default
    run = result.run_id[:8]
    plays = result.task in task_names() and hook(find_task(result.task).module, "play") is not None
    commands = [f"lab eval {run}", *([f"lab play {run} --video agent.mp4"] if plays else []), "lab ui"]
    return [f"{command}{where}" for command in commands]
