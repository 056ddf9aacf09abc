"""The table of a study: its figures against other ways to compute them, and what it looks like in each form."""

import csv
import io
import itertools
import json
import statistics

import numpy as np
import pytest
import works
from scipy.stats import trim_mean

from lab.study.report import render
from lab.study.report.table import table
from lab.study.work.job import JobResult

RATES = "space: {model.lr: [0.001, 0.01, 0.1], model.hidden: [[8], [16, 16]]}"
ONE = ("sampler: one_at_a_time", RATES, "seeds: [0, 1, 2]", "metric: test/return", "columns: [loss]")
PUBLISHED = "published: {model.lr: [-1, null, -3]}"


def noisy(job, line):
    """As `instant`, with a second metric, and seeds that differ by more than an offset."""
    found = works.instant(job, line)
    value = found.metrics["test/return"] - 3.7 * (job.seed**2 % 7)
    return JobResult("finished", {"test/return": value, "best/val/return": value, "loss": job.seed / 3}, found.run_id)


def exact(values, of=np.mean):
    """The percentiles of a statistic over every sample that could be drawn, which are few."""
    drawn = [of(sample) for sample in itertools.product(values, repeat=len(values))]
    return np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")


@pytest.mark.slow
def test_a_line_for_each_value_of_each_key(planned, tuned):
    study, _ = tuned(planned(*ONE, PUBLISHED), noisy)
    found = table(study.record)
    assert [(line.parameter, line.value) for line in found.lines] == [
        ("model.lr", 0.001), ("model.lr", 0.01), ("model.lr", 0.1), ("model.hidden", [8]), ("model.hidden", [16, 16])
    ]  # fmt: skip
    assert [line.published for line in found.lines] == [-1, None, -3, None, None]
    assert found.lines[0].trial == found.lines[3].trial, "both are the default, which is one trial"
    assert {line.finished for line in found.lines} == {3}


def test_figures_are_those_of_the_seeds(planned, tuned):
    study, _ = tuned(planned(*ONE), noisy)
    for line in table(study.record).lines:
        figure = line.metrics["test/return"]
        trial = next(trial for trial in study.trials if trial.number == line.trial)
        values = [result.metrics["test/return"] for result in trial.results.values()]
        assert list(figure.seeds.values()) == values
        assert figure.mean == pytest.approx(statistics.fmean(values)) == pytest.approx(trial.values[0])
        assert [figure.interval.low, figure.interval.high] == pytest.approx(exact(values), abs=1e-9)
        assert figure.value is None
        assert line.metrics["loss"].mean == pytest.approx(1 / 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "of"), [("iqm", lambda values: trim_mean(values, 0.25)), ("median", statistics.median)]
)
def test_the_studys_own_statistic_stands_beside_the_mean(planned, tuned, name, of):
    study, _ = tuned(planned("sampler: none", "seeds: [0, 1, 2, 3, 4]", f"statistic: {name}"), noisy)
    (line,) = table(study.record).lines
    figure = line.metrics["best/val/return"]
    values = list(figure.seeds.values())
    assert figure.mean == pytest.approx(statistics.fmean(values))
    assert figure.value == pytest.approx(of(values)) == pytest.approx(study.trials[0].values[0])
    assert [figure.value_interval.low, figure.value_interval.high] == pytest.approx(exact(values, of), abs=0.05)
    titles, _ = render.cells(table(study.record))
    assert f"{render.NAMES[name]} of best/val/return" in titles
    assert f"| {render.NAMES[name]} of best/val/return |" in render.as_markdown(table(study.record))


def test_trials_come_best_first_with_the_settings_that_vary(planned, tuned):
    space = "space: {model.lr: {float: [0.0001, 1], log: true}, model.hidden: [[8]]}"
    study, _ = tuned(planned("sampler: random", "trials: 5", space), works.instant)
    found = table(study.record)
    values = [line.metrics["best/val/return"].mean for line in found.lines]
    assert values == sorted(values, reverse=True)
    assert len(values) == 5
    assert found.keys == ("model.lr",)
    titles, rows = render.cells(found)
    assert titles == ["TRIAL", "model.lr", "SEEDS", "best/val/return"], "no interval of a single seed"
    assert rows[0][0] == str(max(study.trials, key=lambda trial: trial.values[0]).number)


def test_less_may_be_better(planned, tuned):
    space = "space: {model.lr: [0.001, 0.01, 0.1]}"
    study, _ = tuned(planned("sampler: grid", "metric: test/return", "mode: min", space), works.instant)
    values = [line.metrics["test/return"].mean for line in table(study.record).lines]
    assert values == sorted(values)


def test_a_failed_trial_says_why_in_place_of_figures(planned, tuned):
    study, _ = tuned(
        planned("sampler: one_at_a_time", "space: {model.lr: [0.01, 1.0]}", "seeds: [0, 1]", "metric: test/return"),
        works.failing,
    )
    found = table(study.record)
    titles, rows = render.cells(found)
    assert titles == ["PARAMETER", "VALUE", "SEEDS", "test/return", "95 % INTERVAL", "STATE"]
    assert rows[1] == ["model.lr", "1.0", "1/2", "-", "-", "failed: seed 1: the loss is not a number at step 3"]
    assert rows[0][-1] == ""
    assert render.data(found)[1]["metrics"]["test/return"]["seeds"] == {0: pytest.approx(-4.0)}, "JSON has it all"


def test_a_study_that_was_stopped_has_a_table(planned, tuned):
    study, _ = tuned(planned(*ONE), noisy)
    waiting = study.record.trials[0]
    half = [
        waiting.__class__(**{**vars(waiting), "state": "running", "values": (), "results": {0: waiting.results[0]}})
    ]
    found = table(study.record.__class__(**{**vars(study.record), "trials": half}))
    _, rows = render.cells(found)
    assert rows[0] == ["model.lr", "0.001", "1/3", "-1", "-", "0", "running"]
    assert rows[1] == ["model.lr", "0.01", "0/3", "-", "-", "-", "waiting"]


def test_a_value_that_is_no_number_has_no_interval(planned, tuned):
    def wrong(*_):
        return JobResult("finished", {"test/return": 1.0, "loss": float("nan")}, "run")

    study, _ = tuned(planned(*ONE), wrong)
    assert {line.metrics["loss"].interval for line in table(study.record).lines} == {None}
    assert render.cells(table(study.record))[1][0][-1] == "-"


@pytest.mark.slow
def test_several_metrics_have_a_front(planned, tuned):
    def both(job, line):
        found = works.instant(job, line)
        return JobResult("finished", {**found.metrics, "cost": -found.metrics["test/return"] % 1}, found.run_id)

    space = "space: {model.lr: {float: [0.0001, 1], log: true}}"
    two = planned("sampler: nsga2", "trials: 8", "metric: [test/return, cost]", "mode: [max, min]", space)
    study, _ = tuned(two, both)
    points = {trial.number: trial.values for trial in study.trials}
    best = {
        number
        for number, (x, y) in points.items()
        if not any((a >= x and b <= y) and (a, b) != (x, y) for a, b in points.values())
    }
    found = table(study.record)
    assert {line.trial for line in found.lines if line.front} == best
    titles, rows = render.cells(found)
    marks = [row[titles.index("FRONT")] for row in rows]
    assert marks == sorted(marks, reverse=True), "the front comes first"


def test_csv_has_full_precision_and_every_seed(planned, tuned):
    study, _ = tuned(planned(*ONE, PUBLISHED), noisy)
    found = table(study.record)
    rows = list(csv.DictReader(io.StringIO(render.as_csv(found))))
    assert len(rows) == len(found.lines)
    for row, line in zip(rows, found.lines, strict=True):
        figure = line.metrics["test/return"]
        assert float(row["test/return"]) == figure.mean
        assert float(row["test/return low"]) == figure.interval.low
        assert [float(row[f"test/return seed {seed}"]) for seed in (0, 1, 2)] == list(figure.seeds.values())
        assert json.loads(row["value"]) == line.value
        assert row["published"] == ("" if line.published is None else str(line.published))


def test_markdown_names_a_parameter_once(planned, tuned):
    study, _ = tuned(planned(*ONE, PUBLISHED), noisy)
    lines = render.as_markdown(table(study.record)).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert {len(row) for row in rows} == {7}
    assert [row[0] for row in rows[2:]] == ["`model.lr`", "", "", "`model.hidden`", ""]
    assert [row[1] for row in rows[2:]] == ["`0.001`", "`0.01`", "`0.1`", "`[8]`", "`[16, 16]`"]
    assert rows[0] == ["Parameter", "Value", "Seeds", "test/return", "95 % interval", "loss", "Published"]
    assert "3 seeds" in lines[-1]
    assert "published" in lines[-1]


def test_json_is_plain(planned, tuned):
    study, _ = tuned(planned(*ONE), noisy)
    rows = json.loads(json.dumps(render.data(table(study.record))))
    assert rows[4]["settings"] == {"model.lr": 0.001, "model.hidden": [16, 16]}
    assert set(rows[4]["metrics"]) == {"test/return", "loss"}
