"""Learning curves and pictures: their numbers, and that nothing in a picture lies on anything else."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from mlflow import MlflowClient
from scipy.stats import trim_mean

from lab import stats
from lab.comparison import Curve, Group, Selection, curves, draw, draw_curves, draw_scores, report, select
from lab.comparison.curves import POINTS, common_steps
from lab.comparison.plots import styles
from lab.plots import COLORS, figure


def comparison(groups, environments=("",), seeds=4):
    generator = np.random.default_rng(0)
    steps = np.linspace(1e3, 2e5, 40)
    made, lines = [], []
    for number in range(groups):
        label = f"model.lr=0.{number} model.hidden=[{64 + number}, 64]"
        scores = {env: dict(enumerate(generator.normal(number, 2, seeds).tolist())) for env in environments}
        made.append(Group(label, {"model.lr": f"0.{number}"}, scores, {env: {} for env in environments}))
        for env in environments:
            values = generator.normal(number, 1, (seeds, 40)) - 10 * np.exp(-steps / 5e4)
            lines.append(
                Curve(label, "val/return", env, steps, stats.iqm(values.T), stats.curve_interval(values, resamples=50))
            )
    return Selection(made, "test/return", "max", ["val/return"], "environment steps", True, []), lines


def test_a_curve_is_the_middle_of_its_seeds(recorded_runs):
    chosen = select(["slow", "recipe:fast"], uri=recorded_runs)
    slow, fast = curves(chosen.groups, chosen.curves[0], MlflowClient(recorded_runs))
    assert (slow.label, slow.environment) == ("slow model.lr=0.001", "Pendulum-v1")
    assert slow.steps.tolist() == [100 * (i + 1) for i in range(10)]
    assert fast.steps.tolist() == [130 * (i + 1) for i in range(10)]
    finals = [-300 - 7 * seed - 100 for seed in range(5)]
    assert slow.values[-1] == pytest.approx(trim_mean(finals, 0.25))
    assert slow.band is not None
    assert np.all((slow.band.low <= slow.values) & (slow.values <= slow.band.high))


def test_each_group_is_drawn_by_the_first_name_that_it_has(recorded_runs):
    chosen = select(["slow", "recipe:fast"], uri=recorded_runs)
    server = MlflowClient(recorded_runs)
    by_either = curves(chosen.groups, "loss/nowhere, val/return", server)
    assert [line.metric for line in by_either] == ["loss/nowhere, val/return"] * 2
    for line, own in zip(by_either, curves(chosen.groups, "val/return", server), strict=True):
        assert line.values.tolist() == own.values.tolist()
    assert curves(chosen.groups, "loss/nowhere", server) == []


def test_seeds_at_different_steps_share_the_steps_that_all_have_reached():
    assert common_steps([np.array([1.0, 3, 5]), np.array([2.0, 4, 6])]).tolist() == [2, 3, 4, 5]
    assert common_steps([np.array([1.0, 2]), np.array([3.0, 4])]).tolist() == []
    assert common_steps([np.array([1.0, 2]), np.empty(0)]).tolist() == []
    many = common_steps([np.arange(5000.0), np.arange(10.0, 5000.0)])
    assert (len(many), many[0], many[-1]) == (POINTS, 10, 4999)


def test_groups_have_looks_of_their_own_beyond_the_colours():
    looks = styles([str(i) for i in range(3 * len(COLORS))])
    assert len({tuple(look.items()) for look in looks.values()}) == len(looks)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_the_ending_chooses_the_format(tmp_path, ending):
    chosen, lines = comparison(2)
    path = tmp_path / f"picture.{ending}"
    draw(path, chosen, report(chosen.groups, "max", True), lines)
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[ending]
    assert path.read_bytes().startswith(start)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
def test_each_metric_has_a_panel_in_the_order_of_asking(tmp_path):
    chosen, lines = comparison(2, environments=("B", "A"))
    chosen = replace(chosen, curves=["val/return", "loss"])
    lines = [replace(line, metric="loss") for line in lines] + lines
    path = tmp_path / "panels.svg"
    draw(path, chosen, report(chosen.groups, "max", True), lines)
    titles = re.findall(r"<!-- (A|B|val/return \(IQM\)|loss \(IQM\)) -->", path.read_text())
    asked = [(name, env) for name in ("val/return (IQM)", "loss (IQM)") for env in "AB"]
    assert titles == [word for pair in asked for word in pair]


def test_without_curves_there_are_the_scores(tmp_path):
    chosen, _ = comparison(1, seeds=1)
    draw(tmp_path / "scores.png", chosen, report(chosen.groups, "max"))
    assert (tmp_path / "scores.png").stat().st_size > 1000


def test_every_score_is_in_its_row():
    chosen, _ = comparison(12)
    figures = report(chosen.groups, "max", ranked=True)
    with figure(height=6) as (drawing, axes):
        draw_scores(axes, figures)
        drawing.draw_without_rendering()
        texts = [text.get_text() for text in axes.texts]
        boxes = [text.get_window_extent() for text in axes.texts]
        places = [axes.transData.transform((0, place))[1] for place in range(12)]
        points = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert texts == [f"{row.label} ({row.runs})" for row in figures.rows]
    assert points == [row.iqm for row in figures.rows]
    assert points == sorted(points, reverse=True)
    for box, above, own in zip(boxes[1:], places, places[1:], strict=False):
        assert own < box.y0 < box.y1 < above  # between its own bar and that of the row above


@pytest.mark.slow
def test_the_legend_lies_beside_the_curves():
    _, lines = comparison(10)
    with figure() as (drawing, axes):
        draw_curves(axes, lines)
        drawing.draw_without_rendering()
        legend, panel, whole = axes.get_legend().get_window_extent(), axes.get_window_extent(), drawing.bbox
    assert legend.x0 >= panel.x1
    assert legend.x1 <= whole.x1
