"""A claim: two configurations of a recipe, and the metric by which one is said to be better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval, MinLen

from lab.errors import BadInput, Problem, RecipeError
from lab.recipe.load import read
from lab.recipe.schema import Document
from lab.study.plan.checks import overrides, relocated, said_elsewhere
from lab.study.plan.plan import Plan, make_plan
from lab.study.plan.schema import Seed, build
from lab.study.plan.static import find_recipe_of, side_problems

PARTS = ("better", "worse")


@dataclass(frozen=True)
class Side:
    """One of the two configurations.

    Args:
        name: what the report calls it.
        recipe: its recipe, if it is not the claim's.
        set: its settings of the recipe, by dotted key.
    """

    name: str
    recipe: str | None = None
    set: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ClaimKeys:
    """The keys of a claim file.

    Args:
        claim: what is claimed, as a sentence in which `better` beats `worse`.
        better: the side that is said to be better.
        worse: the other one.
        recipe: the recipe of both, relative to the file, or the name of an installed one.
        set: settings of the recipe that hold for both, by dotted key.
        metric: the final metric that decides.
        mode: `max` or `min`, whether a larger or a smaller value is better; known for the task's own metric.
        seeds: both are trained once with each.
        confidence: of the interval that decides.
    """

    claim: str
    better: Side
    worse: Side
    recipe: str
    set: dict[str, Any] = field(default_factory=dict)
    metric: str | None = None
    mode: Literal["min", "max"] | None = None
    seeds: Annotated[tuple[Seed, ...], MinLen(2)] = (0, 1, 2, 3, 4)
    confidence: Annotated[float, Interval(gt=0.5, lt=1)] = 0.95


@dataclass(frozen=True, kw_only=True)
class Claim(Document, ClaimKeys):
    """A claim as it was read."""


def load_claim(path: Path) -> Claim:
    """Read a claim.

    Raises:
        RecipeError: with all that is wrong with it.
    """
    from lab.recipe.signature import check

    data, about = read(path)
    values, complaints = check(ClaimKeys, {str(key): value for key, value in data.items() if value is not None})
    empty: dict[str, Any] = {"claim": "", "better": Side(""), "worse": Side(""), "recipe": ""}
    claim = Claim(**(empty | values | about))
    problems = [claim.problem(*complaint) for complaint in complaints]
    if problems:
        raise RecipeError([*claim.problems, *problems])
    return claim


def make_plans(claim: Claim, uri: str | None = None) -> tuple[Plan, Plan]:
    """The studies of both sides, `better` first; starts nothing.

    Args:
        claim: the claim.
        uri: the tracking server, where runs that a side begins with are; the recipe's own by default.

    Raises:
        RecipeError: with all that is wrong with the claim and with its recipes.
    """
    made: list[Plan] = []
    problems = _said_elsewhere(claim)
    for part in PARTS:
        try:
            path = _recipe(claim, part)
            more = {key: value for key in ("metric", "mode") if (value := getattr(claim, key)) is not None}
            said = {"recipe": str(path.absolute()), "sampler": "none", "seeds": list(claim.seeds), **more}
            about = {"name": f"{claim.name}-{part}", "path": claim.path, "origins": claim.origins}
            made.append(make_plan(build(said, **about), None, overrides(_settings(claim, part)), uri))
        except RecipeError as error:
            problems += _relocated(claim, part, error.problems)
    if len(made) == len(PARTS) and (made[0].metrics, made[0].modes) != (made[1].metrics, made[1].modes):
        problems.append(claim.problem("metric", "the sides have different metrics; name one"))
    if problems:
        raise RecipeError(dict.fromkeys(problems))
    return made[0], made[1]


def problems_without_import(claim: Claim) -> list[Problem]:
    """All that is wrong with the recipes of a claim, as far as can be told without importing what they name."""
    problems = _said_elsewhere(claim)
    for part in PARTS:
        try:
            found = side_problems(_recipe(claim, part), overrides(_settings(claim, part)))
            problems += _relocated(claim, part, found)
        except RecipeError as error:
            problems += error.problems
    return list(dict.fromkeys(problems))


def _settings(claim: Claim, part: str) -> dict[str, Any]:
    """The settings of a side, with those of both."""
    side: Side = getattr(claim, part)
    return {**claim.set, **side.set}


def _recipe(claim: Claim, part: str) -> Path:
    """The recipe's file of a side.

    Raises:
        RecipeError: there is none.
    """
    side: Side = getattr(claim, part)
    said, key = (claim.recipe, "recipe") if side.recipe is None else (side.recipe, f"{part}.recipe")
    try:
        return find_recipe_of(claim.path, said)
    except BadInput as error:
        raise RecipeError([claim.problem(key, str(error))]) from None


def _said_elsewhere(claim: Claim) -> list[Problem]:
    """Settings that a claim cannot set."""
    places = {"set": claim.set, **{f"{part}.set": getattr(claim, part).set for part in PARTS}}
    return [
        claim.problem(f"{place}.{key}", message)
        for place, settings in places.items()
        for key, message in said_elsewhere(settings)
    ]


def _relocated(claim: Claim, part: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Problems of a side's recipe: those of settings at their place in the claim."""
    own: dict[str, Any] = getattr(claim, part).set
    shared = {key: value for key, value in claim.set.items() if key not in own}
    return relocated(claim, f"{part}.set", own, relocated(claim, "set", shared, problems))
