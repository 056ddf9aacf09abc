"""A claim: two configurations, one metric, and a verdict with its evidence.

The verdict uses the probability of improvement: that a run of one side is better than a run of the other
(Agarwal et al. 2021). If its whole interval lies above one half the claim is upheld, below one half it is refuted,
otherwise it is undecided, and more seeds may decide it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval, MinLen

from lab import stats
from lab.errors import BadInput, LabError, RecipeError
from lab.recipe.load import read
from lab.recipe.schema import Document
from lab.registry import find_recipe
from lab.study.plan.checks import overrides
from lab.study.plan.plan import Plan
from lab.study.plan.schema import Seed
from lab.study.seeds import plan_of
from lab.study.study import tune

Verdict = Literal["upheld", "refuted", "undecided"]


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


@dataclass(frozen=True)
class Evidence:
    """One side's scores.

    Args:
        name: the side's.
        study: the study its trainings belong to.
        scores: by seed.
        mean: of them.
        iqm: their interquartile mean.
        interval: of the interquartile mean.
    """

    name: str
    study: str
    scores: Mapping[int, float]
    mean: float
    iqm: float
    interval: stats.Interval | None


@dataclass(frozen=True)
class Judgement:
    """The verdict on a claim, with its evidence.

    Args:
        claim: the sentence.
        verdict: upheld, refuted or undecided.
        metric: what decided.
        mode: `max` or `min`.
        probability: that a run of the first side is better than one of the second.
        interval: of that probability.
        evidence: both sides, the one that was said to be better first.
    """

    claim: str
    verdict: Verdict
    metric: str
    mode: str
    probability: float
    interval: stats.Interval | None
    evidence: tuple[Evidence, Evidence]


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


def judge(claim: Claim, workers: int | None = None, uri: str | None = None) -> Judgement:
    """Trains the missing runs of both sides and compares their scores.

    Args:
        claim: the claim.
        workers: trainings at a time; by default one for each core.
        uri: the tracking server; the recipes' own by default.

    Raises:
        LabError: a training failed, or what `lab.study.study.tune` raises.
    """
    plans = [_plan(claim, side, uri) for side in (claim.better, claim.worse)]  # both, before anything slow starts
    if plans[0].metrics != plans[1].metrics or plans[0].modes != plans[1].modes:
        raise BadInput(f"{claim.path}: the sides have different metrics; name one in `metric:`")
    metric, mode = plans[0].metrics[0], plans[0].modes[0]
    sides = [
        _evidence(side, made, metric, workers, uri)
        for side, made in zip((claim.better, claim.worse), plans, strict=True)
    ]
    scores = [list(side.scores.values()) for side in sides]
    direction: Any = mode
    improvement = stats.probability_of_improvement(*scores, mode=direction, confidence=claim.confidence)
    return Judgement(
        claim.claim,
        verdict(improvement.interval),
        metric,
        mode,
        improvement.probability,
        improvement.interval,
        (sides[0], sides[1]),
    )


def verdict(interval: stats.Interval | None) -> Verdict:
    """The verdict that an interval of the probability of improvement gives."""
    if interval is None or interval.low <= 0.5 <= interval.high:
        return "undecided"
    return "upheld" if interval.low > 0.5 else "refuted"


def _plan(claim: Claim, side: Side, uri: str | None) -> Plan:
    said = side.recipe or claim.recipe
    beside = claim.path.parent / said
    more = {key: value for key, value in {"metric": claim.metric, "mode": claim.mode}.items() if value is not None}
    path = beside if beside.is_file() else find_recipe(said)
    made = plan_of(path, overrides({**claim.set, **side.set}), claim.seeds, uri, **more)
    return replace(made, name=f"{claim.name}-{'better' if side is claim.better else 'worse'}")


def _evidence(side: Side, made: Plan, metric: str, workers: int | None, uri: str | None) -> Evidence:
    trial = tune(made, workers=workers, uri=uri).trials[0]
    if trial.state != "complete":
        raise LabError(f"{side.name} has no score: {trial.reason or trial.state}; see lab studies")
    scores: dict[int, float] = {seed: result.metrics[metric] for seed, result in trial.results.items()}
    values: Sequence[float] = list(scores.values())
    return Evidence(
        side.name, made.name, scores, float(stats.mean(values)), float(stats.iqm(values)), stats.interval(values)
    )
