"""Statistics of the scores of a few seeds: estimates with bootstrap intervals.

The estimates are those of Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice"
(NeurIPS 2021): the interquartile mean, percentile bootstrap intervals, stratified where there are several tasks, and
the probability of improvement. Everything random comes from a generator with a fixed seed, so that the same scores
give the same interval, in whichever order they come.

Scores are a list with one number per seed, or a list of such lists, one per task; tasks may differ in how many they
have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Scores = Sequence[float] | Sequence[Sequence[float]] | Array
Statistic = Callable[[Array], Any]  # of the last axis
Mode = Literal["min", "max"]

CONFIDENCE = 0.95
RESAMPLES = 10_000
CURVE_RESAMPLES = 2_000  # a band is only read from a plot
SEED = 0
_AT_ONCE = 2_000_000  # numbers in memory while resampling


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a statistic.

    >>> interval([0.5, 0.5, 0.5])
    Interval(low=0.5, high=0.5)

    Args:
        low: its lower bound, in the unit of the scores.
        high: its upper bound, at least `low`.
    """

    low: float
    high: float


@dataclass(frozen=True)
class Band:
    """An interval at every point of a curve, each for itself: `low` and `high` (points,).

    >>> curve_interval(np.ones((3, 2)))
    Band(low=array([1., 1.]), high=array([1., 1.]))
    """

    low: Array
    high: Array


@dataclass(frozen=True)
class Improvement:
    """The probability that a run of one method is better than a run of another; no interval if one has a single run.

    >>> probability_of_improvement([3.0], [1.0, 2.0])
    Improvement(probability=1.0, interval=None)

    Args:
        probability: from 0 to 1.
        interval: of the probability; None if one has a single run.
    """

    probability: float
    interval: Interval | None


def mean(values: ArrayLike) -> Any:
    """The mean of the last axis: values (..., n) -> (...), a number for one axis.

    >>> float(mean([1, 2, 6]))
    3.0
    """
    return np.mean(np.asarray(values, float), -1)


def iqm(values: ArrayLike) -> Any:
    """The interquartile mean of the last axis, (..., n) -> (...): the mean without the lowest and the highest quarter.

    Of `n` values, `floor(n / 4)` are left out at each end, as `scipy.stats.trim_mean(values, 0.25)` does it; so for
    up to three it is the mean. It minds outliers less than the mean, and wastes fewer values than the median.

    >>> float(iqm([1, 2, 4, 100]))
    3.0
    """
    ordered = np.sort(np.asarray(values, float), -1)
    n = ordered.shape[-1]
    return mean(ordered[..., n // 4 : n - n // 4])


def interval(
    scores: Scores,
    statistic: Statistic = iqm,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval | None:
    """The percentile bootstrap interval of a statistic of all scores; None if a task has fewer than two.

    Seeds are drawn with replacement within each task, as many as it has; the statistic is that of all tasks' scores
    together. Few seeds give too narrow an interval: with normal scores, one of 95 % for the interquartile mean covers
    it in 75 % of all cases with three seeds, 88 % with five, 94 % with ten.

    >>> found = interval([0.2, 0.4, 0.5, 0.7])
    >>> 0.2 <= found.low < float(iqm([0.2, 0.4, 0.5, 0.7])) < found.high <= 0.7
    True

    Args:
        scores: seeds, or tasks x seeds.
        statistic: of the last axis of an array, such as `mean` or `iqm`.
        confidence: of the interval, between 0 and 1, such as 0.95.
        resamples: how often, from 1, seeds are drawn.
        seed: of the generator that draws.

    Raises:
        ValueError: there are no scores, or one is not a number.
    """
    band = curve_interval(
        [stratum[:, None] for stratum in strata(scores)],
        statistic,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    return Interval(float(band.low[0]), float(band.high[0])) if band else None


def curve_interval(
    curves: Array | Sequence[Array],
    statistic: Statistic = iqm,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = CURVE_RESAMPLES,
    seed: int = SEED,
) -> Band | None:
    """The pointwise percentile bootstrap interval of curves; None if a task has fewer than two.

    Whole curves are drawn, as `interval` draws scores.

    >>> curve_interval(np.random.default_rng(0).normal(size=(5, 3))).high.shape  # five seeds, three points
    (3,)

    Args:
        curves: seeds x points, or for several tasks a list of such arrays with equally many points.
        statistic: of the last axis of an array, which holds the seeds.
        confidence: of the interval at every point, between 0 and 1.
        resamples: how often, from 1, curves are drawn.
        seed: of the generator that draws.
    """
    tasks = [np.asarray(task, float) for task in ([curves] if isinstance(curves, np.ndarray) else curves)]
    if any(len(task) < 2 for task in tasks):
        return None
    generator = np.random.default_rng(seed)
    # a fixed order, so that the interval does not depend on the order in which seeds come
    tasks = [task[np.lexsort(task.T[::-1])] for task in tasks]
    drawn = [generator.integers(len(task), size=(resamples, len(task))) for task in tasks]
    seeds, points = sum(map(len, tasks)), tasks[0].shape[1]
    low, high = np.empty(points), np.empty(points)
    step = max(1, _AT_ONCE // (resamples * seeds))
    for first in range(0, points, step):
        part = slice(first, first + step)
        samples = np.concatenate(  # (points of this part, resamples, seeds of all tasks)
            [task.T[part][:, rows] for task, rows in zip(tasks, drawn, strict=True)], -1
        )
        low[part], high[part] = _percentiles(statistic(samples), confidence)
    return Band(low, high)


def probability_of_improvement(
    x: Scores,
    y: Scores,
    *,
    mode: Mode = "max",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Improvement:
    """The probability that a run of X is better than a run of Y on a random task, with its bootstrap interval.

    On each task it is the Mann-Whitney statistic: the share of all pairs of a run of X and a run of Y in which X is
    better, a tie counting one half. Tasks are averaged with equal weight, so their scores need no common scale.

    >>> probability_of_improvement([1.0, 2.0], [0.0, 1.0, 3.0]).probability  # 3.5 of 6 pairs
    0.5833333333333334

    Args:
        x: scores of X: seeds, or tasks x seeds.
        y: the same for Y, with the same tasks in the same order.
        mode: whether larger (`max`) or smaller (`min`) scores are better.
        confidence: of the interval, between 0 and 1.
        resamples: how often, from 1, seeds are drawn, of X and of Y independently, within each task.
        seed: of the generator that draws.

    Raises:
        ValueError: the tasks do not match, there are no scores, or one is not a number.
    """
    ours, theirs = strata(x), strata(y)
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} tasks against {len(theirs)}")
    generator = np.random.default_rng(seed)
    found, samples = [], []
    for a, b in zip(ours, theirs, strict=True):
        wins = (a[:, None] > b) + 0.5 * (a[:, None] == b)  # (seeds of X, seeds of Y)
        wins = wins if mode == "max" else 1 - wins
        found.append(wins.mean())
        often_a, often_b = (generator.multinomial(n, np.full(n, 1 / n), resamples) / n for n in wins.shape)
        samples.append(np.einsum("ri,ri->r", often_a @ wins, often_b))
    single = any(len(task) < 2 for task in (*ours, *theirs))
    low, high = _percentiles(np.mean(samples, 0), confidence)
    return Improvement(float(np.mean(found)), None if single else Interval(float(low), float(high)))


def pooled(scores: Scores) -> Array:
    """The scores of all tasks as one array (all scores,), ascending.

    >>> pooled([[3, 1], [2]])
    array([1., 2., 3.])
    """
    return np.sort(np.concatenate(strata(scores)))


def strata(scores: Scores) -> list[Array]:
    """One ascending array (scores,) per task.

    >>> strata([[3, 1], [2]])
    [array([1., 3.]), array([2.])]

    Raises:
        ValueError: a task has no scores, or one is not a number.
    """
    nested = len(scores) > 0 and np.ndim(scores[0]) > 0
    tasks = [np.sort(np.asarray(task, float)) for task in (scores if nested else [scores])]
    if any(task.ndim != 1 or not len(task) or np.isnan(task).any() for task in tasks):
        raise ValueError("scores are one or more numbers for each task")
    return tasks


def _percentiles(samples: Array, confidence: float) -> Array:
    tail = (1 - confidence) / 2
    return np.asarray(np.quantile(samples, [tail, 1 - tail], axis=-1))
