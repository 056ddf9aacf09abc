"""The verdict on a claim, by the probability of improvement (Agarwal et al. 2021).

That is the probability that a run of one side is better than a run of the other. If its whole interval lies above one
half the claim is upheld, below one half it is refuted; otherwise it is undecided, and more seeds may decide it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lab import stats
from lab.errors import LabError
from lab.study.claim import Claim, Side, make_plans
from lab.study.plan.plan import Plan
from lab.study.report.summary import TrialSummary
from lab.study.study import tune

Verdict = Literal["upheld", "refuted", "undecided"]


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


def judge(claim: Claim, workers: int | None = None, uri: str | None = None) -> Judgement:
    """Trains the missing runs of both sides and compares their scores.

    Args:
        claim: the claim.
        workers: trainings at a time; by default one for each core.
        uri: the tracking server; the recipes' own by default.

    Raises:
        LabError: a training failed, or what `lab.study.study.tune` raises.
    """
    plans = make_plans(claim, uri)  # both, before anything slow starts
    metric: str = plans[0].metrics[0]
    mode: Any = plans[0].modes[0]
    named = (claim.better, claim.worse)
    copy = claim.path.with_stem(f"{claim.name}_2")
    places = [str(claim.path), copy.name if copy.is_absolute() else str(copy)]  # not beside an installed one
    rename = f"judge a copy of the claim: lab cp {shlex.join(places)}"
    trials = [
        tune(plan, workers=workers, uri=uri, title=side.name, rename=rename).trials[0]
        for side, plan in zip(named, plans, strict=True)
    ]
    sides = list(zip(named, plans, trials, strict=True))
    if failed := [
        f"{side.name}: {trial.reason or trial.state}" for side, _, trial in sides if trial.state != "complete"
    ]:
        raise LabError(f"no verdict, for not every training has a score; {'; '.join(failed)}; lab studies lists them")
    better, worse = (_evidence(side, made, trial, metric) for side, made, trial in sides)
    improvement = stats.probability_of_improvement(
        list(better.scores.values()), list(worse.scores.values()), mode=mode, confidence=claim.confidence
    )
    chance, interval = improvement.probability, improvement.interval
    return Judgement(claim.claim, verdict(interval), metric, mode, chance, interval, (better, worse))


def verdict(interval: stats.Interval | None) -> Verdict:
    """The verdict that an interval of the probability of improvement gives."""
    if interval is None or interval.low <= 0.5 <= interval.high:
        return "undecided"
    return "upheld" if interval.low > 0.5 else "refuted"


def _evidence(side: Side, made: Plan, trial: TrialSummary, metric: str) -> Evidence:
    scores: dict[int, float] = {seed: result.metrics[metric] for seed, result in trial.results.items()}
    values = list(scores.values())
    mean, iqm = float(stats.mean(values)), float(stats.iqm(values))
    return Evidence(side.name, made.name, scores, mean, iqm, stats.interval(values))
