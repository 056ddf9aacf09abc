"""The figures of a report, against scipy's."""

from __future__ import annotations

import pytest
from scipy.stats import mannwhitneyu, trim_mean

from lab.comparison import Group, report
from lab.stats import Interval


def group(label, *strata):
    scores = {f"env{i}": dict(enumerate(stratum)) for i, stratum in enumerate(strata)}
    return Group(label, {}, scores, {})


A, B, C = [3.0, 1.0, 4.0, 1.5, 5.0], [9.0, 2.0, 6.0, 5.0, 3.0, 5.0], [2.5]


def test_each_row():
    figures = report([group("a", A), group("b", B), group("c", C)], "max")
    assert figures.reference == "a"
    assert [row.label for row in figures.rows] == ["a", "b", "c"]
    for row, scores in zip(figures.rows, (A, B, C), strict=True):
        assert (row.runs, row.min, row.max) == (len(scores), min(scores), max(scores))
        assert row.mean == pytest.approx(sum(scores) / len(scores))
        assert row.iqm == pytest.approx(trim_mean(scores, 0.25))
    a, b, c = figures.rows
    assert a.better is None
    assert b.better is not None
    assert b.better.probability == pytest.approx(mannwhitneyu(B, A).statistic / 30)
    assert isinstance(b.interval, Interval)
    assert b.interval.low < b.iqm < b.interval.high
    assert c.better is not None
    assert c.interval is c.better.interval is None


def test_less_may_be_better():
    figures = report([group("b", B), group("a", A)], "min", ranked=True)
    assert [row.label for row in figures.rows] == ["a", "b"]
    assert figures.rows[1].better is not None
    assert figures.rows[1].better.probability == pytest.approx(mannwhitneyu(A, B).statistic / 30)
    assert [row.label for row in report([group("b", B), group("a", A)], "max", ranked=True).rows] == ["b", "a"]


def test_environments_are_pooled_for_means_and_averaged_for_probabilities():
    figures = report([group("x", A, [100.0, 200.0]), group("y", B, [150.0, 50.0])], "max")
    assert figures.rows[0].mean == pytest.approx((sum(A) + 300) / 7)
    assert figures.rows[1].better is not None
    assert figures.rows[1].better.probability == pytest.approx((mannwhitneyu(B, A).statistic / 30 + 0.25) / 2)


def test_the_same_groups_give_the_same_figures():
    assert report([group("a", A), group("b", B)], "max") == report([group("a", A[::-1]), group("b", B[::-1])], "max")
