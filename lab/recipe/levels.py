"""Keys that stand at the wrong place, or under the name that another library gives them: `lr` is `model.lr`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields, replace

from lab.errors import Problem, closest
from lab.recipe.schema import ClassSpec, Envelope, InlineTask, Recipe, Schedule, StartFrom, Track
from lab.recipe.static import section_keywords
from lab.recipe.synonyms import INSTEAD, SYNONYMS

Levels = Mapping[str, Collection[str]]  # section, empty for the recipe itself, -> its keys

UNKNOWN = "unknown key"
SURE = 0.8  # how much a key of another section has to look like the one that was written
RECIPES_OWN = {
    "track": Track,
    "checkpoint": Schedule,
    "start_from": StartFrom,
    "task": InlineTask,
    "optimizer": ClassSpec,
    "lr_scheduler": ClassSpec,
}
NAMED = {"optimizer": "optimizer", "lr_scheduler": "schedule"}  # objects of a recipe that many modules take by name
TASKS = ("", "model", "data", "trainer")  # where else a key may belong; of another section's own only from the top


def levels(recipe: Recipe, entry: str | None) -> Levels:
    """The keys of a recipe and of its sections, as far as they are known without an import.

    Args:
        recipe: the recipe.
        entry: the entry point of its task, `package.module:TASK`; None for one that is written out, or unknown.
    """
    found: dict[str, Collection[str]] = {"": [key.name for key in fields(Envelope)]}
    found |= {section: names for section, names in section_keywords(recipe, entry).items() if names is not None}
    if {"model", "data"} <= found.keys():  # what both have, the data tell the module
        found["model"] = [name for name in found["model"] if name not in found["data"]]
    return found | {section: [key.name for key in fields(kind)] for section, kind in RECIPES_OWN.items()}


def meant(key: str, known: Levels) -> list[str]:
    """The dotted keys that may be meant by one that nobody has; empty where the nearest of its section will do."""
    section, _, name = key.rpartition(".")
    if section not in known:
        return []
    name = name.replace("-", "_")
    own = {section: known[section]}
    others = {other: names for other, names in known.items() if other != section and (not section or other in TASKS)}
    others = {} if section == "task" else others
    words = SYNONYMS.get(name.lower(), ())
    for places, names in ((own, (name,)), (others, (name,)), (own, words), (others, words)):
        if found := [_dotted(place, each) for each in names for place in places if each in places[place]]:
            return found
    if closest(name, known[section]) is not None:
        return []
    near = {place: closest(name, names, cutoff=SURE) for place, names in others.items()}
    return [_dotted(place, each) for place, each in near.items() if each is not None]


def at_their_level(problems: Iterable[Problem], recipe: Recipe, entry: str | None) -> Iterator[Problem]:
    """The problems of a recipe; those of unknown keys name the key that is meant, also if another section has it."""
    known: Levels | None = None
    for problem in problems:
        words = problem.message
        if (own := NAMED.get(problem.key)) is not None and ", found '" in words:  # such as `optimizer: adam`
            known = known or levels(recipe, entry)
            near = did_you_mean([f"model.{own}"]) if own in known.get("model", ()) else ""
            yield replace(problem, message=f"{words}{near}")
            continue
        if not words.startswith(UNKNOWN) or "it is called" in words:
            yield problem
            continue
        if (instead := INSTEAD.get(problem.key.rpartition(".")[2])) is not None:
            yield replace(problem, message=f"{words.partition(';')[0]}; {instead}")
            continue
        known = known or levels(recipe, entry)
        found = meant(problem.key, known)
        said = words.partition(";")[0]
        section, _, name = problem.key.rpartition(".")
        if section and found == [name]:  # the same word again would say nothing
            yield replace(problem, message=f"{said}; {name!r} stands at the top of a recipe, not in {section!r}")
            continue
        yield replace(problem, message=f"{said}{did_you_mean(found)}") if found else problem


def did_you_mean(keys: Iterable[str]) -> str:
    """`; did you mean 'model.lr' or 'data.lr'?`"""
    return f"; did you mean {' or '.join(map(repr, keys))}?"


def _dotted(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name
