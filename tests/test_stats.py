"""Each figure against somebody else's: scipy's, or loops that spell the definition out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, mannwhitneyu, trim_mean

from lab import stats

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
seeds = st.lists(numbers, min_size=1, max_size=12)
several = st.lists(numbers, min_size=2, max_size=12)
few = settings(max_examples=60)


@pytest.mark.slow
@few
@given(seeds)
def test_the_interquartile_mean_is_scipys(scores):
    assert stats.iqm(scores) == pytest.approx(trim_mean(scores, 0.25), abs=1e-6)


def test_the_interquartile_mean_by_hand():
    assert stats.iqm([100, 1, 2, 3]) == 2.5
    assert stats.iqm([100, 1, 2, 3, 4]) == 3  # one of five at each end
    assert stats.iqm([100, 1, 2]) == pytest.approx(103 / 3)
    assert stats.iqm([[0, 1, 2, 3], [4, 5, 6, 9]]) == pytest.approx([1.5, 5.5])
    assert stats.mean([1, 2, 6]) == 3


@pytest.mark.parametrize("statistic", [stats.mean, stats.iqm])
def test_the_interval_is_scipys(statistic):
    scores = np.random.default_rng(1).gamma(2.0, size=15)
    theirs = bootstrap(
        (scores,), lambda x, axis: statistic(np.moveaxis(x, axis, -1)), method="percentile"
    ).confidence_interval
    ours = stats.interval(scores, statistic)
    assert ours is not None
    width = theirs.high - theirs.low
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.05 * width)


@pytest.mark.slow
def test_a_stratified_interval_draws_within_each_task():
    generator = np.random.default_rng(2)
    tasks = [generator.normal(0, 1, 8), generator.normal(1000, 1, 5), generator.normal(-500, 1, 10)]
    samples = [np.mean(np.concatenate([generator.choice(task, len(task)) for task in tasks])) for _ in range(4000)]
    low, high = np.quantile(samples, [0.025, 0.975])
    found = stats.interval([list(task) for task in tasks], stats.mean)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.08 * (high - low))
    assert found.high - found.low < 2  # drawing from all scores at once would make it hundreds wide


@few
@given(several, st.randoms())
def test_an_interval_depends_on_the_scores_alone(scores, random):
    shuffled = random.sample(scores, len(scores))
    found = stats.interval(scores, resamples=200)
    assert found == stats.interval(shuffled, resamples=200)
    assert found is not None
    assert min(scores) - 1e-6 <= found.low <= found.high <= max(scores) + 1e-6


def test_one_score_has_no_interval():
    assert stats.interval([3.0]) is None
    assert stats.interval([[3.0, 4.0], [1.0]]) is None
    assert stats.curve_interval(np.ones((1, 4))) is None
    assert stats.probability_of_improvement([1.0], [0.0, 2.0]) == stats.Improvement(0.5, None)


def test_an_interval_of_95_percent_covers_the_truth_so_often():
    generator = np.random.default_rng(3)
    found = [stats.interval(generator.normal(7, 3, 40), stats.mean, resamples=500) for _ in range(400)]
    covered = np.mean([each is not None and each.low <= 7 <= each.high for each in found])
    assert 0.90 < covered < 0.98  # the standard error of this share is 0.011


def test_another_confidence_is_another_width():
    scores = np.random.default_rng(4).normal(size=20)
    half, most = stats.interval(scores, confidence=0.5), stats.interval(scores, confidence=0.99)
    assert half is not None
    assert most is not None
    assert most.low < half.low < half.high < most.high


@pytest.mark.slow
@few
@given(seeds, seeds)
def test_the_probability_of_improvement_is_mann_whitneys(x, y):
    theirs = mannwhitneyu(x, y, method="asymptotic").statistic / (len(x) * len(y))
    assert stats.probability_of_improvement(x, y, resamples=10).probability == pytest.approx(theirs)


@pytest.mark.slow
@few
@given(st.lists(st.integers(0, 3), min_size=2, max_size=6), st.lists(st.integers(0, 3), min_size=2, max_size=6))
def test_one_of_two_is_better(x, y):
    over, under = (stats.probability_of_improvement(a, b, resamples=50) for a, b in [(x, y), (y, x)])
    assert over.probability + under.probability == pytest.approx(1)
    smaller = stats.probability_of_improvement(x, y, mode="min", resamples=50)
    assert smaller.probability == pytest.approx(under.probability)
    for found in (over, under, smaller):
        assert found.interval is not None
        assert 0 <= found.interval.low <= found.interval.high <= 1 + 1e-12


@pytest.mark.slow
def test_the_interval_of_the_probability_by_loops():
    generator = np.random.default_rng(5)
    x, y = [[3, 1, 4, 1, 5], [9, 2, 6]], [[2, 7, 1, 8], [2, 8, 1, 8]]
    samples = []
    for _ in range(3000):
        tasks = []
        for a, b in zip(x, y, strict=True):
            pairs = itertools.product(generator.choice(a, len(a)), generator.choice(b, len(b)))
            tasks.append(np.mean([1.0 if i > j else 0.5 if i == j else 0.0 for i, j in pairs]))
        samples.append(np.mean(tasks))
    found = stats.probability_of_improvement(x, y)
    assert found.interval is not None
    expected = np.quantile(samples, [0.025, 0.975])
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected), abs=0.03)
    assert found.probability == pytest.approx((7 / 20 + 7.5 / 12) / 2)


def test_the_band_of_a_curve_is_the_interval_at_each_point():
    curves = np.random.default_rng(6).normal(size=(7, 5)).cumsum(1)
    band = stats.curve_interval(curves, resamples=4000)
    assert band is not None
    for point in range(5):
        alone = stats.interval(curves[:, point])
        assert alone is not None
        width = alone.high - alone.low
        assert (band.low[point], band.high[point]) == pytest.approx((alone.low, alone.high), abs=0.1 * width)
    again = stats.curve_interval(curves[::-1], resamples=4000)
    assert again is not None
    assert np.array_equal(again.low, band.low)


def test_a_long_curve_is_resampled_in_parts(monkeypatch):
    curves = np.random.default_rng(7).normal(size=(4, 50))
    whole = stats.curve_interval(curves)
    monkeypatch.setattr(stats, "_AT_ONCE", 1)
    parts = stats.curve_interval(curves)
    assert whole is not None
    assert parts is not None
    assert np.allclose(whole.low, parts.low)
    assert np.allclose(whole.high, parts.high)


@pytest.mark.parametrize("scores", [[], [float("nan"), 1.0], [[1.0], []]])
def test_what_are_no_scores(scores):
    with pytest.raises(ValueError, match="one or more numbers"):
        stats.interval(scores)


def test_tasks_must_match():
    with pytest.raises(ValueError, match="2 tasks against 1"):
        stats.probability_of_improvement([[1.0, 2.0], [3.0]], [1.0, 2.0])
