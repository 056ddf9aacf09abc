"""One recipe with several seeds: a study in which nothing else varies."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab import stats
from lab.errors import BadInput
from lab.recipe import load
from lab.study.plan import schema
from lab.study.plan.plan import Plan, make_plan
from lab.study.report.summary import Result
from lab.study.study import Study, tune
from lab.study.work.record import find


def repeat(
    recipe: Path,
    settings: Sequence[str],
    count: int,
    *,
    name: str | None = None,
    workers: int | None = None,
    uri: str | None = None,
) -> Study:
    """Trains a recipe with `count` seeds, starting at the recipe's own; the same call resumes what was interrupted.

    Args:
        recipe: the file, or the name of a task.
        settings: overrides of it.
        count: how many seeds.
        name: the study's; by default the recipe's name and a hash of what it says.
        workers: trainings at a time; by default one for each core.
        uri: the tracking server; the recipe's own by default.

    Raises:
        LabError: what `lab.study.study.tune` raises.
    """
    first = load(recipe, settings).seed
    made = plan_of(recipe, settings, list(range(first, first + count)), uri, name)
    return train(made, name, workers, uri)


def train(made: Plan, name: str | None, workers: int | None, uri: str | None) -> Study:
    """Trains a plan; one to which nobody gave a name gets a hash of its definition behind the recipe's."""
    if name is None:
        made = replace(made, name=_unused(made, uri or made.recipe.track.uri))
    return tune(made, workers=workers, uri=uri)


def plan_of(
    recipe: Path,
    settings: Sequence[str],
    seeds: Sequence[int] | None,
    uri: str | None = None,
    name: str | None = None,
    **more: Any,
) -> Plan:
    """The plan of that study.

    Args:
        recipe: the file, or the name of a task.
        settings: overrides of it.
        seeds: the seeds; None for the recipe's own.
        uri: the tracking server; the recipe's own by default.
        name: the study's; by default the recipe's.
        more: further keys of a study, such as `metric`.
    """
    place = recipe.absolute() if recipe.is_file() else recipe  # the name of a task
    said = {"recipe": str(place), "sampler": "none", "seeds": seeds and list(seeds), **more}
    return make_plan(schema.build(said, name=recipe.stem, path=recipe), name, settings, uri)


def summarize(results: Mapping[int, Result]) -> dict[str, dict[str, float | None]]:
    """Mean, interquartile mean and the interval of the latter, for every metric of the best checkpoint."""
    found = {}
    for name, values in finals(results):
        interval = stats.interval(values)
        low, high = (interval.low, interval.high) if interval else (None, None)
        found[name] = {"mean": float(stats.mean(values)), "iqm": float(stats.iqm(values)), "low": low, "high": high}
    return found


def finals(results: Mapping[int, Result]) -> Iterator[tuple[str, list[float]]]:
    """Every metric of the best checkpoint, with its finite values."""
    names = {name for result in results.values() for name in result.metrics if _final(name)}
    for name in sorted(names):
        values = [result.metrics[name] for result in results.values() if name in result.metrics]
        if finite := [value for value in values if math.isfinite(value)]:
            yield name, finite


def not_finite(results: Mapping[int, Result], kind: str) -> Iterator[str]:
    """A line for each value that `finals` leaves out; `kind` is what the results go by: seed or fold."""
    for key, result in results.items():
        for name, value in sorted(result.metrics.items()):
            if _final(name) and not math.isfinite(value):
                yield f"{kind} {key}: {name} is {value} and does not count (run {result.run_id[:8]})"


def _final(name: str) -> bool:
    return name.startswith(("best/", "test"))


def _unused(made: Plan, uri: str | None) -> str:
    """The name of an unfinished study with this definition, or else a new one."""
    digest = hashlib.sha256(json.dumps(made.definition(), sort_keys=True).encode()).hexdigest()[:6]
    base = name = f"{made.name}-{digest}"
    number = 1
    while True:
        try:
            trials = find(name, uri=uri).trials
        except BadInput:
            return name
        if any(trial.state in ("waiting", "running") for trial in trials):
            return name
        number += 1
        name = f"{base}-{number}"
