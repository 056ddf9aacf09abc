"""The runs that an argument of `lab compare` refers to: a study, a recipe, an experiment, or a run's name or id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from lab.errors import BadInput, nearest, suggestion
from lab.registry import recipes
from lab.tracking.names import KIND

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KINDS = ("study", "recipe", "experiment", "run")
PAGE = 1_000
FEW = 8  # names that a message can list


def runs_of(words: Sequence[str], server: MlflowClient) -> dict[str, list[Run]]:
    """The runs that each argument refers to, of any status; keyed by the name alone where that is unique.

    A word is the name of a study, of a recipe, of an experiment or of one or more runs, a run's id or the unique start
    of one, or `last`. `recipe:NAME` and the like say which of them is meant. Runs are named after their recipe if
    nobody says otherwise; such a word means all runs of the recipe. A study's parent stands for its trials.

    Raises:
        BadInput: an argument matches nothing or several things, or two arguments match the same run.
    """
    experiments = {found.name: found.experiment_id for found in server.search_experiments()}
    named = {word: _meant(word, server, experiments) for word in words}
    if len(named) < len(words):
        twice = next(word for word in words if list(words).count(word) > 1)
        raise BadInput(f"{twice!r} is named twice")
    owner: dict[str, str] = {}
    for word, runs in named.items():
        for run in runs:
            other = owner.setdefault(run.info.run_id, word)
            if other != word:
                raise BadInput(f"run {run.info.run_id[:8]} is in both {other!r} and {word!r}; compare them separately")
    short = {_parts(word)[1]: runs for word, runs in named.items()}
    return short if len(short) == len(named) else named


def _parts(word: str) -> tuple[tuple[str, ...], str]:
    """The kinds that an argument may refer to, and its name."""
    kind, _, name = word.partition(":")
    return ((kind,), name) if kind in KINDS and name else (KINDS, word)


def _meant(word: str, server: MlflowClient, experiments: Mapping[str, str]) -> list[Run]:
    kinds, name = _parts(word)
    found = {kind: runs for kind in kinds if (runs := _look(kind, name, server, experiments))}
    others = [_ids(runs) for kind, runs in found.items() if kind != "run"]
    if any(_ids(found.get("run", [])) <= ids for ids in others):
        found.pop("run", None)
    if len({frozenset(_ids(runs)) for runs in found.values()}) > 1:
        kinds = tuple(found)
        meanings = " and ".join(f"{'an' if kind == 'experiment' else 'a'} {kind}" for kind in kinds)
        raise BadInput(f"{name!r} is {meanings}; use {' or '.join(f'{kind}:{name}' for kind in kinds)}")
    if found:
        return next(iter(found.values()))
    if "experiment" in kinds and name in experiments:
        raise BadInput(f"experiment {name!r} has no runs yet")
    raise BadInput(_unknown(name, kinds, server, experiments))


def _look(kind: str, name: str, server: MlflowClient, experiments: Mapping[str, str]) -> list[Run]:
    """The runs of one study, recipe or experiment, or those that this name or id belongs to."""
    everywhere = list(experiments.values())
    if kind == "experiment":
        return _trainings(_search(server, "", [experiments[name]] if name in experiments else []))
    if kind != "run":
        return _trainings(_named(server, f"tags.{kind}", name, everywhere))
    if name == "last":
        runs = server.search_runs(everywhere, max_results=1)[:1]
    else:
        runs = _named(server, "attributes.run_name", name, everywhere)
    if not runs and re.fullmatch("[0-9a-f]{1,32}", name):
        runs = list(_search(server, f"attributes.run_id LIKE '{name}%'", everywhere))
        if len(runs) > 1:
            ids = ", ".join(run.info.run_id[:8] for run in runs[:3])
            raise BadInput(f"{name!r} is the start of {len(runs)} run ids ({ids}, ...); give more digits")
    studies = {run.data.tags.get("study", "") for run in runs if KIND in run.data.tags}
    for study in studies - {""}:
        runs += _look("study", study, server, experiments)
    return _trainings(runs)


def _named(server: MlflowClient, attribute: str, name: str, experiments: Sequence[str]) -> list[Run]:
    """The runs with this tag or name. A filter of MLflow's cannot hold every text, so others are looked for here."""
    if re.fullmatch(r"[\w .:/@+-]*", name):
        return list(_search(server, f'{attribute} = "{name}"', experiments))
    tag = attribute.removeprefix("tags.")
    runs = _search(server, "", experiments)
    return [run for run in runs if name == (run.info.run_name if tag == attribute else run.data.tags.get(tag))]


def _search(server: MlflowClient, condition: str, experiments: Sequence[str]) -> Iterator[Run]:
    token: str | None = ""
    while experiments and token is not None:
        page = server.search_runs(list(experiments), condition, max_results=PAGE, page_token=token or None)
        yield from page
        token = page.token or None


def _trainings(runs: Iterable[Run]) -> list[Run]:
    """Without the parent runs of studies."""
    return [run for run in runs if KIND not in run.data.tags]


def _ids(runs: Iterable[Run]) -> set[str]:
    return {run.info.run_id for run in runs}


def _unknown(name: str, kinds: Sequence[str], server: MlflowClient, experiments: Mapping[str, str]) -> str:
    """The error for an argument that matches nothing, with the nearest name that exists."""
    newest = server.search_runs(list(experiments.values()), max_results=PAGE)
    if not newest:
        return "no runs here yet; start one: lab run ddpg_pendulum"
    starts: dict[Literal["recipe", "study", "claim"], str] = {"recipe": "run", "study": "tune"}
    for kind, verb in starts.items():
        if kind in kinds and name in recipes(kind):
            return f"{kind} {name!r} has no runs yet; start one: lab {verb} {name}"
    known = {
        "study": {run.data.tags.get("study", "") for run in newest},
        "recipe": {run.data.tags.get("recipe", "") for run in newest},
        "experiment": set(experiments) - {"Default"},
        "run": {run.info.run_name for run in newest},
    }
    names = sorted(set().union(*(known[kind] for kind in kinds)) - {""})
    word = suggestion(name, names, "there are") if len(names) <= FEW else nearest(name, names)
    meanings = " or ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
    return f"no {meanings} {name!r}{word}; lab runs lists them"
