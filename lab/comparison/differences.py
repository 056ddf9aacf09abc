"""The settings in which runs differ: they form groups and name them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import Run

ENVIRONMENT = "data.env"  # the parameter that splits the runs of a group into strata
IGNORED = {"task", "seed", "threads", ENVIRONMENT}
DERIVED = {"trainer.max_epochs", "trainer.max_steps"}  # an agent's follow from its number of steps
SHOWN = 3  # settings in a label that would be clear without them

Settings = dict[str, str]
Key = tuple[str, str, tuple[tuple[str, str], ...]]  # of a group: its name, its task, and what differs among its kin


def members(named: Mapping[str, Iterable[Run]]) -> dict[Key, list[Run]]:
    """The runs of each group, in the order of names, tasks and settings.

    Runs of one name and one task are apart if a setting differs between some of them on the same environment. What
    differs with the environment alone, such as the size of its observations or settings tuned to it, does not count.
    """
    found: dict[Key, list[Run]] = {}
    for name, runs in named.items():
        tasks: dict[str, list[Run]] = defaultdict(list)
        for run in runs:
            tasks[run.data.params.get("task", "")].append(run)
        for task, kin in sorted(tasks.items()):
            keys = _splitting(kin)
            groups: dict[tuple[str, ...], list[Run]] = defaultdict(list)
            for run in kin:
                groups[tuple(run.data.params.get(key, "-") for key in keys)].append(run)
            for values in sorted(groups, key=lambda values: [_natural(value) for value in values]):
                found[name, task, tuple(zip(keys, values, strict=True))] = groups[values]
    return found


def settings(groups: Mapping[Key, Sequence[Run]]) -> list[Settings]:
    """The settings that differ between groups of one task, and others that are constant within each group."""
    constants = [_constants(runs) for runs in groups.values()]
    shared = set.intersection(*(set(own) for own in constants))
    between = {key for key in shared if len({own[key] for own in constants}) > 1}
    found = []
    for (_, _, own), constant in zip(groups, constants, strict=True):
        both = dict(own) | {key: constant[key] for key in between}
        found.append({key: both[key] for key in sorted(both)})
    superfluous = {key for key in DERIVED if _follows(key, found)}
    return [{key: value for key, value in each.items() if key not in superfluous} for each in found]


def labels(groups: Iterable[Key], settings: Sequence[Settings]) -> list[str]:
    """The name where there are several, the task where one name has several, and the settings that tell groups apart.

    Settings that differ only between names or tasks are shown if they are few: two algorithms differ in most of theirs.
    """
    keys = list(groups)
    few = len({key for own in settings for key in own}) <= SHOWN
    found = []
    for (name, task, own), differing in zip(keys, settings, strict=True):
        parts = [f"{key}={value}" for key, value in differing.items() if few or key in dict(own)]
        if len({other for namesake, other, _ in keys if namesake == name}) > 1:
            parts.insert(0, task)
        if len({other for other, _, _ in keys}) > 1 or not parts:
            parts.insert(0, name)
        found.append(" ".join(parts))
    return found


def _splitting(kin: Sequence[Run]) -> list[str]:
    """The parameters with several values on one environment."""
    environments: dict[str, list[Run]] = defaultdict(list)
    for run in kin:
        environments[run.data.params.get(ENVIRONMENT, "")].append(run)
    keys = sorted({key for run in kin for key in run.data.params} - IGNORED)
    return [key for key in keys if any(len(_values(key, runs)) > 1 for runs in environments.values())]


def _constants(runs: Sequence[Run]) -> Settings:
    """The parameters in which the runs agree."""
    first = runs[0].data.params
    return {key: first[key] for key in first if key not in IGNORED and len(_values(key, runs)) == 1}


def _values(key: str, runs: Iterable[Run]) -> set[str]:
    return {run.data.params.get(key, "-") for run in runs}


def _follows(key: str, settings: Iterable[Settings]) -> bool:
    """Whether the other settings decide this one."""
    seen: dict[tuple[tuple[str, str], ...], set[str | None]] = defaultdict(set)
    for own in settings:
        seen[tuple(item for item in own.items() if item[0] not in DERIVED)].add(own.get(key))
    return all(len(values) == 1 for values in seen.values())


def _natural(value: str) -> tuple[float, str]:
    """Numbers by size, before text."""
    try:
        return float(value), ""
    except ValueError:
        return float("inf"), value
